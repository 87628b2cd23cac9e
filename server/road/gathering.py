"""What a batch has to read of one partition, and what the answer says: of its leads, and about tenant-wide limits."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rules.decision import CeilingReading
from rules.zones import period
from server.road.day import day_of
from server.road.tally import Tally
from server.road.ticket import Job
from server.road.work import LeadWork
from server.road.world import Policy
from server.store.batch import CeilingQuery, GatherQuery, Snapshot
from server.store.keys import Partition, partition_number


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


def by_partition(jobs: Sequence[Job], partitions: int) -> dict[tuple[Partition, str], list[Job]]:
    """Return a batch's jobs by partition and clock, each one's in their order."""
    groups: dict[tuple[str, str, int], list[Job]] = {}
    for job in jobs:
        key = (job.tenant, job.clock, partition_number(job.lead_id, partitions))
        group = groups.get(key)
        if group is None:
            groups[key] = [job]
        else:
            group.append(job)
    return {(Partition(tenant, number), clock): group for (tenant, clock, number), group in groups.items()}


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
    lead_ids: dict[str, None] = {}
    decision_ids: dict[str, None] = {}
    further: dict[str, None] = {}
    for job in jobs:
        lead_ids[job.lead_id] = None
        request, event, amendment = job.request, job.event, job.amendment
        if request is not None and not job.preview:
            decision_ids[request.decision_id] = None
        if event is not None:
            further[partition.event(event.lead_id, event.event_id)] = None
        if amendment is not None:
            further.update(dict.fromkeys(amendment.keys(partition)))
    days = (day.name, day.next_name)
    return GatherQuery(
        partition, clock, days, day.next_start_at, ceilings, list(lead_ids), list(decision_ids), list(further)
    )


def tally_of(query: GatherQuery, snapshot: Snapshot) -> Tally:
    """Return the tenant-wide counts as they were read."""
    readings = {}
    for ceiling, (used, release) in zip(query.ceilings, snapshot.readings, strict=True):
        calendar_end = ceiling.boundary_at if not ceiling.rolling_ms and used >= ceiling.maximum else None
        readings[ceiling.name] = CeilingReading(used, ceiling.maximum, release or calendar_end)
    return Tally(readings, snapshot.leads_today, snapshot.escalated_today)


def work_of(part: Part, snapshot: Snapshot) -> list[LeadWork]:
    """Return the leads that are to be planned, each with its jobs and what is stored of it."""
    stored = dict(zip(part.query.lead_ids, snapshot.leads, strict=True))
    jobs: dict[str, list[Job]] = {}
    for job in part.jobs:
        lead_id = job.lead_id
        of_lead = jobs.get(lead_id)
        if of_lead is None:
            jobs[lead_id] = [job]
        else:
            of_lead.append(job)
    partition, known = part.partition, snapshot.known
    return [LeadWork(lead_id, stored[lead_id], of_lead, partition, known) for lead_id, of_lead in jobs.items()]
