"""Retention: what is older than the log keeps, or more than it holds, is removed, and the last id that went is remembered.

A resume token from before that id is refused: reading on from it would skip decisions without a word.
"""

import asyncio
from typing import NamedTuple

import structlog
from redis.exceptions import RedisError

from server.feed.token import order
from server.metrics import FEED_MISSED, TRIMMED
from server.settings import Settings
from server.store.connection import Store
from server.store.keys import PARTITIONS, TENANTS_KEY, Partition
from server.store.script import Script
from server.store.scripts import TRIM_LOG

TRIM = Script(TRIM_LOG)
INTERVAL_SECONDS = 60.0
TRIMMED_AT_ONCE = 256
log = structlog.get_logger()


class Trimmed(NamedTuple):
    """How many decisions went, how many of them some subscription had not acknowledged, and the last log id that went."""

    decisions: int
    missed: int
    last: str


async def trim(client: Store, partition: Partition, retention_ms: int, longest: int) -> Trimmed | None:
    """Remove what is older than the retention, counted back from the newest entry, and what a longer log has too many; None: nothing went.

    What a subscription had not acknowledged becomes its gap in the same step (server/store/scripts/trim_log.lua).
    """
    keys = (partition.log, partition.trimmed, partition.gaps)
    decisions = missed = 0
    last = ""
    while True:
        went, unacknowledged, last_now = await TRIM.run(client, keys, retention_ms, longest, TRIMMED_AT_ONCE)
        if not went:
            break
        decisions, missed, last = decisions + went, missed + unacknowledged, last_now.decode()
        TRIMMED.inc(went)
        FEED_MISSED.inc(unacknowledged)
    if missed:
        log.warning("subscriptions_missed_decisions", tenant=partition.tenant, missed=missed)
    return Trimmed(decisions, missed, last) if decisions else None


async def trim_events(client: Store, partition: Partition, retention_ms: int) -> int:
    """Remove the events that arrived longer than the retention before the newest one; return how many went.

    Their ids carry the store's own time, whatever clock the tenant has. What was learned from them stays in the leads' records.
    """
    newest = await client.xrevrange(partition.events, count=1)
    if not newest:
        return 0
    cutoff = max(order(newest[0][0].decode())[0] - retention_ms, 0)
    gone: int = await client.xtrim(partition.events, minid=f"{cutoff}-0", approximate=False)
    return gone


async def trim_for_ever(client: Store, settings: Settings) -> None:
    """Trim every tenant's logs once a minute."""
    retention_ms = settings.log_retention_hours * 3_600_000
    events_ms = settings.event_retention_days * 86_400_000
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        try:
            for tenant in await client.smembers(TENANTS_KEY):
                for number in range(PARTITIONS):
                    partition = Partition(tenant.decode(), number)
                    await trim(client, partition, retention_ms, settings.log_max_decisions)
                    await trim_events(client, partition, events_ms)
        except (RedisError, OSError) as error:
            log.warning("retention_waits_for_store", error=str(error))
