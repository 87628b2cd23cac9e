"""The decision log: one stream a partition, read by id, by lead and by place."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from server.errors import DecisionNotFoundError
from server.store.connection import Store
from server.store.keys import Partition

NO_ENTRY = "0-0"


class LogEntry(NamedTuple):
    """One decision as it was committed; `previous` is the log id of the lead's decision before it."""

    log_id: str
    decision: bytes
    hits: bytes
    inputs: bytes
    previous: str


def parse_entry(reply: tuple[bytes, Any]) -> LogEntry:
    """Return a stream's entry."""
    log_id, fields = reply
    return LogEntry(log_id.decode(), fields[b"d"], fields[b"t"], fields[b"i"], fields[b"p"].decode())


async def read_entries(client: Store, partition: Partition, log_ids: Sequence[str]) -> list[LogEntry]:
    """Return the entries with these log ids.

    Raises:
        DecisionNotFoundError: Retention has removed one.

    """
    pipeline = client.pipeline(transaction=False)
    for log_id in log_ids:
        pipeline.xrange(partition.log, log_id, log_id)
    replies = await pipeline.execute()
    if not all(replies):
        raise DecisionNotFoundError("the log no longer holds this decision")
    return [parse_entry(reply[0]) for reply in replies]


async def locate(client: Store, partitions: Sequence[Partition], decision_id: str) -> tuple[Partition, str]:
    """Return where a decision lies: its partition and its log id.

    Raises:
        DecisionNotFoundError: Nowhere.

    """
    pipeline = client.pipeline(transaction=False)
    for partition in partitions:
        pipeline.get(partition.decision(decision_id))
    for partition, locator in zip(partitions, await pipeline.execute(), strict=True):
        if locator is not None:
            return partition, locator[16:].decode()
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
