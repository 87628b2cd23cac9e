"""Structured logs on stderr: JSON for machines, colours on a terminal. Lead ids and addresses are never logged.

Every line that is written while a call is served carries its tenant and correlation id. There is a line for each decision, so what makes one is
kept cheap: one context variable rather than one a field, and the time formatted by hand.
"""

import logging
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson
import structlog
from structlog.typing import EventDict, WrappedLogger

from server.metrics import LOST_LINES

_call: ContextVar[tuple[str, str]] = ContextVar("keepwell_call", default=("", ""))


def bind_call(tenant: str, correlation_id: str) -> None:
    """Say who calls, for every line of this task from here on."""
    _call.set((tenant, correlation_id))


def bound_correlation_id() -> str:
    """Return the correlation id of the call that is being served; "" outside of calls."""
    return _call.get()[1]


def _add_call(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    tenant, correlation_id = _call.get()
    if correlation_id:
        event["tenant"], event["correlation_id"] = tenant, correlation_id
    return event


def _stamp(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds")
    return event


class LineLogger(structlog.BytesLogger):
    """Writes lines; one that cannot be written is counted: a log that nobody reads any more must not end what is logged."""

    def msg(self, message: bytes) -> None:
        """Write a line."""
        try:
            super().msg(message)
        except OSError:
            LOST_LINES.inc()

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def configure_logs(level: str) -> None:
    """Set up structlog for this process."""
    pretty = sys.stderr.isatty()
    # Stacks without the values of variables: those are leads.
    stack = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    shared: list[structlog.typing.Processor] = [_add_call, structlog.processors.add_log_level, _stamp]
    if pretty:
        structlog.configure(
            processors=[*shared, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)],
            wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
            cache_logger_on_first_use=True,
        )
        return
    # Not buffered: what could not be written would be tried again at the end, and change the exit code.
    lines = open(sys.stderr.fileno(), "wb", buffering=0, closefd=False)  # noqa: SIM115
    structlog.configure(
        processors=[*shared, stack, structlog.processors.JSONRenderer(orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: LineLogger(lines),
        cache_logger_on_first_use=True,
    )
