"""The decision log: one stream a partition, read by id, by lead and by place."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from server.errors import DecisionNotFoundError
from server.store.connection import Store
from server.store.entry import LogEntry, parse_entry
from server.store.keys import FINGERPRINT_BYTES, Partition

NO_ENTRY = "0-0"


class Locator(NamedTuple):
    """What a decision's key says: of which request it is, where it lies, and of which lead ("": an older key)."""

    fingerprint: bytes
    log_id: str
    lead_id: str


def parse_locator(value: bytes) -> Locator:
    """Return what a decision's key holds."""
    log_id, _, lead_id = value[FINGERPRINT_BYTES:].decode().partition(" ")
    return Locator(value[:FINGERPRINT_BYTES], log_id, lead_id)


async def find_entries(client: Store, partition: Partition, log_ids: Sequence[str]) -> list[LogEntry | None]:
    """Return the entries with these log ids; None for one that retention has removed."""
    pipeline = client.pipeline(transaction=False)
    for log_id in log_ids:
        pipeline.xrange(partition.log, log_id, log_id)
    return [parse_entry(reply[0]) if reply else None for reply in await pipeline.execute()]


async def read_entry(client: Store, partition: Partition, log_id: str) -> LogEntry:
    """Return the entry with a log id; raises DecisionNotFoundError when retention has removed it."""
    (entry,) = await find_entries(client, partition, [log_id])
    if entry is None:
        raise DecisionNotFoundError("the log no longer holds this decision")
    return entry


async def locate(client: Store, partitions: Sequence[Partition], decision_id: str) -> tuple[Partition, str]:
    """Return where a decision lies: its partition and its log id.

    Raises:
        DecisionNotFoundError: Nowhere.

    """
    pipeline = client.pipeline(transaction=False)
    for partition in partitions:
        pipeline.get(partition.decision(decision_id))
    for partition, value in zip(partitions, await pipeline.execute(), strict=True):
        if value is not None:
            return partition, parse_locator(value).log_id
    raise DecisionNotFoundError("there is no decision with this id")


Find = Callable[[str, str], Awaitable[LogEntry | None]]  # an entry that retention removed, by tenant and log id


async def lead_entries(
    client: Store, partition: Partition, newest: str, count: int, find_removed: Find
) -> tuple[list[LogEntry], str]:
    """Return up to `count` entries of one lead, newest first, and the log id to go on from ("0-0": none is left).

    Each entry names the lead's entry before it, so no index has to be kept.
    """
    entries: list[LogEntry] = []
    log_id = newest
    while log_id != NO_ENTRY and len(entries) < count:
        reply = await client.xrange(partition.log, log_id, log_id)
        entry = parse_entry(reply[0]) if reply else await find_removed(partition.tenant, log_id)
        if entry is None:
            return entries, NO_ENTRY
        entries.append(entry)
        log_id = entry.previous
    return entries, log_id
