"""What a batch is decided under, and what it comes to: the values that computing takes and gives."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from rules.compiled import Ceiling
from rules.decide import Decider
from rules.decision import Decision, Ruling, Situation
from server.road.assessed import Assessed, Model, Reuse
from server.road.day import Day
from server.road.job import DecideInput, Job, Outcome
from server.store.keys import Partition
from server.store.partition import LeadWrite, StoredLead

EncodeDecision = Callable[[Decision, Assessed], bytes]


class Policy(Struct, frozen=True):
    """The policy that a batch is decided by; `decider` belongs to the worker thread."""

    name: str
    version: str
    source: str
    decider: Decider
    ceilings: tuple[Ceiling, ...]
    escalation_share: float


class World(Struct, frozen=True):
    """What all leads of one partition's batch are decided under."""

    tenant: str
    policy: Policy
    model: Model
    now: int
    day: Day
    encode: EncodeDecision
    reuse: Reuse


class LeadPlan(Struct, frozen=True):
    """What one lead's jobs come to: a write (None: nothing to write), the outcomes once it is accepted, and jobs that go again."""

    write: LeadWrite | None
    outcomes: list[tuple[Job, Outcome]]
    again: Sequence[Job] = ()


class LeadWork(Struct, frozen=True):
    """One lead with its jobs, in the order in which they came, and what the store holds under the further keys that they look at."""

    lead_id: str
    stored: StoredLead
    jobs: list[Job]
    partition: Partition
    known: Mapping[str, bytes]


class Decided(Struct, frozen=True):
    """A job that was decided, and what from."""

    job: Job
    request: DecideInput
    assessed: Assessed
    facts: Situation
    ruling: Ruling
