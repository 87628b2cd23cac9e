"""Requests that were decided before: answered from the log, they go no further down the road."""

from collections.abc import Sequence

from server.errors import IdempotencyMismatchError
from server.road.gathering import Part
from server.road.job import Committed, Job
from server.road.world import FINGERPRINT_BYTES
from server.store.connection import Store
from server.store.keys import Partition
from server.store.log import read_entries
from server.store.partition import Snapshot


async def settle_replays(
    client: Store, parts: Sequence[Part], snapshots: Sequence[Snapshot]
) -> list[tuple[Part, Snapshot]]:
    """Answer the requests that were decided before, and return the rest."""
    rest = []
    for part, snapshot in zip(parts, snapshots, strict=True):
        known = dict(zip(part.query.decision_ids, snapshot.decisions, strict=True))
        fresh: list[Job] = []
        replays: list[tuple[Job, bytes]] = []
        for job in part.jobs:
            locator = known.get(job.request.decision_id) if job.request and not job.preview else None
            if locator is None:
                fresh.append(job)
            else:
                replays.append((job, locator))
        await _replay(client, part.partition, replays)
        rest.append((part._replace(jobs=fresh), snapshot))
    return rest


async def _replay(client: Store, partition: Partition, replays: Sequence[tuple[Job, bytes]]) -> None:
    matching = []
    for job, locator in replays:
        if job.request is not None and locator[:FINGERPRINT_BYTES] == job.request.fingerprint:
            matching.append((job, locator[FINGERPRINT_BYTES:].decode()))
        else:
            job.settle(IdempotencyMismatchError())
    if not matching:
        return
    entries = await read_entries(client, partition, [log_id for _, log_id in matching])
    for (job, _), entry in zip(matching, entries, strict=True):
        job.settle(Committed(entry.decision, entry.hits, replayed=True))
