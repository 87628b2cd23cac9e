"""Retention: what is older than the log keeps, or more than it holds, is removed, and the last id that went is remembered.

A resume token from before that id is refused: reading on from it would skip decisions without a word.
"""

from typing import NamedTuple

import structlog

from server.feed.token import order
from server.metrics import FEED_MISSED, TRIMMED
from server.settings import Settings
from server.store.connection import Store
from server.store.escalations import read_entries
from server.store.keys import CONTACT_SECONDS, PARTITIONS, TENANTS_KEY, Partition
from server.store.script import Script
from server.store.scripts import FORGET_DECISIONS, TRIM_LOG
from server.turns import take_turns

TRIM = Script(TRIM_LOG)
FORGET = Script(FORGET_DECISIONS)
INTERVAL_SECONDS = 60.0
INDEX_PAGE = 256
TRIMMED_AT_ONCE = 256
FORGOTTEN_AT_ONCE = 16  # each up to 4,000 decisions
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


async def forget_decisions(client: Store, partition: Partition) -> None:
    """Remove the keys of decisions that were kept long enough."""
    while (
        await FORGET.run(client, (partition.expiring,), partition.decision(""), FORGOTTEN_AT_ONCE) == FORGOTTEN_AT_ONCE
    ):
        pass


async def trim_escalations(client: Store, partition: Partition, retention_ms: int) -> str | None:
    """Remove changes of escalations older than the retention, and from the index those whose records are gone; return the last id that went."""
    place = "-"
    while places := await _old_places(client, partition, place):
        kept = {entry.place for entry in await read_entries(client, [partition], places)}
        gone = [each for each in places if each not in kept]
        if gone:
            await client.zrem(partition.escalations, *gone)
        place = f"({places[-1]}"
    return await _trim_noted(client, partition.escalation_log, partition.escalation_log_trimmed, retention_ms)


async def _old_places(client: Store, partition: Partition, start: str) -> list[str]:
    """Return the next escalations that may be gone: raised longer before the newest one than closed ones are kept."""
    newest = await client.zrange(partition.escalations, -1, -1)
    if not newest:
        return []
    before = int(newest[0].split(b" ")[0]) - CONTACT_SECONDS * 1_000
    end = f"({max(before, 0):015d}"
    members = await client.zrange(partition.escalations, start, end, bylex=True, offset=0, num=INDEX_PAGE)
    return [member.decode() for member in members]


async def _trim_noted(client: Store, stream: str, noted: str, retention_ms: int) -> str | None:
    """Trim a stream, and note the last id that went."""
    newest = await client.xrevrange(stream, count=1)
    if not newest:
        return None
    cutoff = order(newest[0][0].decode())[0] - retention_ms
    if cutoff <= 0:
        return None
    going = await client.xrevrange(stream, max=f"({cutoff}-0", count=1)
    if not going:
        return None
    last: str = going[0][0].decode()
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.set(noted, last)
        pipeline.xtrim(stream, minid=f"{cutoff}-0", approximate=False)
        await pipeline.execute()
    return last


async def trim_events(client: Store, partition: Partition, retention_ms: int) -> int:
    """Remove the events that arrived longer than the retention before the newest one; return how many went.

    Their ids carry the store's own time, whatever clock the tenant has. What was learned from them stays in the leads' records.
    """
    return await _trim_silently(client, partition.events, retention_ms)


async def trim_outcomes(client: Store, partition: Partition, retention_ms: int) -> int:
    """Remove outcomes likewise; return how many went."""
    return await _trim_silently(client, partition.outcomes, retention_ms)


async def _trim_silently(client: Store, stream: str, retention_ms: int) -> int:
    newest = await client.xrevrange(stream, count=1)
    if not newest:
        return 0
    cutoff = max(order(newest[0][0].decode())[0] - retention_ms, 0)
    gone: int = await client.xtrim(stream, minid=f"{cutoff}-0", approximate=False)
    return gone


async def trim_for_ever(client: Store, settings: Settings) -> None:
    """Trim every tenant's logs once a minute."""
    retention_ms = settings.log_retention_hours * 3_600_000
    events_ms = settings.event_retention_days * 86_400_000
    outcomes_ms = settings.outcome_retention_days * 86_400_000

    async def turn() -> bool:
        for tenant in await client.smembers(TENANTS_KEY):
            for number in range(PARTITIONS):
                partition = Partition(tenant.decode(), number)
                await trim(client, partition, retention_ms, settings.log_max_decisions)
                await forget_decisions(client, partition)
                await trim_events(client, partition, events_ms)
                await trim_outcomes(client, partition, outcomes_ms)
                await trim_escalations(client, partition, retention_ms)
        return False

    await take_turns("retention", turn, INTERVAL_SECONDS)
