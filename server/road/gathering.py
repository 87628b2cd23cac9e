"""What a batch has to read of one partition, and what the answer says about tenant-wide limits."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rules.decision import CeilingReading
from rules.zones import period
from server.road.day import day_of
from server.road.job import Job
from server.road.tally import Tally
from server.road.world import Policy
from server.store.keys import Partition
from server.store.partition import CeilingQuery, GatherQuery, Snapshot


class Shares(Protocol):
    """The settings that gathering needs."""

    @property
    def partitions(self) -> int:
        """How many partitions share a tenant's limits."""

    @property
    def tenant_time_zone(self) -> str:
        """The zone of the tenant's calendar."""


class Part(NamedTuple):
    """One partition's share of a batch."""

    partition: Partition
    clock: str
    policy: Policy
    query: GatherQuery
    jobs: list[Job]


def share(maximum: int, partition: int, partitions: int) -> int:
    """Return one partition's part of a tenant-wide limit; the parts add up to it, so together they cannot exceed it."""
    return maximum // partitions + (partition < maximum % partitions)


def gather_query(
    partition: Partition, clock: str, estimate: int, policy: Policy, settings: Shares, jobs: Sequence[Job]
) -> GatherQuery:
    """Return what to read. `estimate` is about now: the script knows better and picks the right day itself."""
    day = day_of(estimate, settings.tenant_time_zone)
    ceilings = []
    for ceiling in policy.ceilings:
        window, maximum = ceiling.window, share(ceiling.maximum, partition.number, settings.partitions)
        start, boundary = (0, 0) if window.length_ms else period(window.zone, window.calendar, estimate)
        ceilings.append(CeilingQuery(ceiling.name, window.length_ms, start, boundary, maximum))
    lead_ids = list(dict.fromkeys(job.lead_id for job in jobs))
    decisions = (job.request.decision_id for job in jobs if job.request and not job.preview)
    decision_ids = list(dict.fromkeys(decisions))
    events = (partition.event(job.event.lead_id, job.event.event_id) for job in jobs if job.event)
    further = dict.fromkeys(events)
    for job in jobs:
        if job.amendment is not None:
            further.update(dict.fromkeys(job.amendment.keys(partition)))
    days = (day.name, day.next_name)
    return GatherQuery(partition, clock, days, day.next_start_at, ceilings, lead_ids, decision_ids, list(further))


def tally_of(query: GatherQuery, snapshot: Snapshot) -> Tally:
    """Return the tenant-wide counts as they were read."""
    readings = {}
    for ceiling, (used, release) in zip(query.ceilings, snapshot.readings, strict=True):
        calendar_end = ceiling.boundary_at if not ceiling.rolling_ms and used >= ceiling.maximum else None
        readings[ceiling.name] = CeilingReading(used, ceiling.maximum, release or calendar_end)
    return Tally(readings, snapshot.leads_today, snapshot.escalated_today)
