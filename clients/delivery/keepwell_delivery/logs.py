"""Logs on stderr, a JSON object a line. No addresses: what libraries log of their requests is left out."""

import logging
import sys

import orjson
import structlog

QUIET = ("apprise", "httpx", "httpcore", "aiosmtplib", "google", "urllib3")


def configure_logs() -> None:
    """Set up structlog, and the standard library's logging through it."""
    stack = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    render = structlog.processors.JSONRenderer(orjson.dumps)
    structlog.configure(
        processors=[*shared, stack, render],
        logger_factory=structlog.BytesLoggerFactory(sys.stderr.buffer),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                stack,
                lambda logger, name, event: render(logger, name, event).decode(),  # type: ignore[union-attr]
            ],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
