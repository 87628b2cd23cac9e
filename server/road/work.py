"""What one lead brings to a batch, and what it comes to."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from server.road.job import Outcome
from server.road.ticket import Job
from server.store.batch import LeadWrite, StoredLead
from server.store.keys import Partition


class LeadWork(Struct, frozen=True):
    """One lead with its jobs, in the order in which they came, and what the store holds under the further keys that they look at."""

    lead_id: str
    stored: StoredLead
    jobs: list[Job]
    partition: Partition
    known: Mapping[str, bytes]


class LeadPlan(Struct, frozen=True):
    """What one lead's jobs come to: a write (None: nothing to write), the outcomes once it is accepted, and jobs that go again."""

    write: LeadWrite | None
    outcomes: list[tuple[Job, Outcome]]
    again: Sequence[Job] = ()
