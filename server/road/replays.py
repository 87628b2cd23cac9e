"""Requests that were decided before: answered from the log, they go no further down the road."""

from collections.abc import Sequence

from server.errors import DecisionNotFoundError, IdempotencyMismatchError
from server.road.gathering import Part
from server.road.job import Committed
from server.road.ticket import Job
from server.store.batch import Snapshot
from server.store.connection import Store
from server.store.keys import Partition
from server.store.log import find_entries, parse_locator


async def settle_replays(client: Store, gathered: Sequence[tuple[Part, Snapshot]]) -> list[tuple[Part, Snapshot]]:
    """Answer the requests that were decided before, and return the rest."""
    rest = []
    for part, snapshot in gathered:
        if not any(snapshot.decisions):
            rest.append((part, snapshot))
            continue
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
    for job, value in replays:
        locator = parse_locator(value)
        if job.request is not None and locator.fingerprint == job.request.fingerprint:
            matching.append((job, locator.log_id))
        else:
            job.settle(IdempotencyMismatchError())
    if not matching:
        return
    entries = await find_entries(client, partition, [log_id for _, log_id in matching])
    for (job, _), entry in zip(matching, entries, strict=True):
        # A decision's key outlives its log entry: to decide again under the same id would be worse than to say so.
        gone = DecisionNotFoundError("this request was decided before, and the log no longer holds its decision")
        job.settle(gone if entry is None else Committed(entry.decision, entry.hits, replayed=True))
