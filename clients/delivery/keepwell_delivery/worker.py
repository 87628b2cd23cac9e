"""A worker: a subscription of the feed, the channels of a configuration, and a journal."""

import asyncio
import contextlib
import signal
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from google.protobuf.duration_pb2 import Duration
from keepwell.v1.decision_pb2 import VERDICT_CONTACT, VERDICT_DEFER, VERDICT_SUPPRESS
from keepwell.v1.feed_service_pb2 import FeedFilter, FeedGap, SubscribeRequest
from keepwell_client import EARLIEST, AsyncClient

from keepwell_delivery.addresses import open_addresses
from keepwell_delivery.config import Config, ConfigError
from keepwell_delivery.consent import Consent
from keepwell_delivery.deliverer import MAX_ATTEMPTS, Deliverer
from keepwell_delivery.escalations import Notifier
from keepwell_delivery.journal import Journal
from keepwell_delivery.metrics import MISSED
from keepwell_delivery.once import Once
from keepwell_delivery.opening import configured, open_channel
from keepwell_delivery.reporting import Reporter
from keepwell_delivery.templates import Templates

DAY_SECONDS = 86_400.0
# What can hold a contact or an escalation: the others are acknowledged by the service itself.
CARRYING = FeedFilter(verdicts=[VERDICT_CONTACT, VERDICT_DEFER, VERDICT_SUPPRESS])

log = structlog.get_logger()


@contextlib.asynccontextmanager
async def deliverer(
    config: Config, keepwell: AsyncClient, clock: Callable[[], float] = time.time
) -> AsyncIterator[Deliverer]:
    """Yield what carries out decisions, everything checked.

    Raises:
        ConfigError, TemplatesError: Something of the configuration is not there or wrong.

    """
    async with contextlib.AsyncExitStack() as stack:
        templates = Templates(config.templates)
        addresses = open_addresses(config, keepwell)
        stack.push_async_callback(addresses.close)
        channels = {}
        for name, settings in configured(config).items():
            channels[name] = (open_channel(settings, config), settings.address or name)
            stack.push_async_callback(channels[name][0].close)
        notices = {target: open_channel(settings, config) for target, settings in config.escalations.items()}
        for notice in notices.values():
            stack.push_async_callback(notice.close)
        journal = _journal(config.journal)
        stack.callback(journal.close)
        journal.forget(clock() - config.keep_days * DAY_SECONDS)
        reporter = Reporter(keepwell, journal)
        await reporter.report_left_over()
        once = Once(config, journal, templates, addresses, Consent(keepwell).check, reporter.withdraw, clock)
        yield Deliverer(channels, notices, once, reporter)


async def work(
    config: Config,
    keepwell: AsyncClient,
    subscription: str,
    ready: Callable[[], None],
    clock: Callable[[], float] = time.time,
) -> None:
    """Deliver until SIGTERM or SIGINT, and then finish what is in hand. The clock is the service's, in seconds since 1970.

    Raises:
        KeepwellError: The service refuses the subscription, or was away for too long.

    """
    deadline = Duration()
    deadline.FromMilliseconds(round(config.ack_deadline_seconds * 1_000))
    request = SubscribeRequest(
        subscription=subscription,
        filter=CARRYING,
        start=EARLIEST,
        ack_deadline=deadline,
        max_attempts=MAX_ATTEMPTS,
    )
    async with deliverer(config, keepwell, clock) as delivering:
        worker = keepwell.worker(request, delivering.handle, concurrency=config.concurrency, on_gap=_missed)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, worker.stop)
        notifier = Notifier(keepwell, delivering.notify)
        following = asyncio.create_task(notifier.follow())
        ready()
        try:
            await worker.run()
        finally:
            following.cancel()
            await notifier.finish()


def _journal(path: Path) -> Journal:
    try:
        return Journal(path)
    except sqlite3.Error as error:
        raise ConfigError(f"journal: {path}: {error}") from error


def _missed(gap: FeedGap) -> None:
    MISSED.inc(gap.missed)
    log.error("decisions_missed", missed=gap.missed)
