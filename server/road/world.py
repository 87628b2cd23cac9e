"""What a batch is decided under, and what it comes to: the values that computing takes and gives."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from rules.compiled import Ceiling
from rules.decide import Decider
from rules.decision import CeilingReading, Decision, Ruling
from rules.windows import CountingWindow
from server.road.assess import Assessed, Model, Reuse
from server.road.day import Day
from server.road.job import Job, Outcome
from server.store.keys import Partition
from server.store.partition import LeadWrite, StoredLead

ESCALATION_SHARE = "escalation_share"

EncodeDecision = Callable[[Decision, Assessed], bytes]


def ceiling_seconds(window: CountingWindow) -> int:
    """Return how long the instants under a tenant-wide limit are kept."""
    return window.longest_ms // 1_000 + 86_400


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


class Tally:
    """Tenant-wide counts as the batch uses them up: what was read, and what the leads before this one claimed."""

    def __init__(self, readings: dict[str, CeilingReading], leads_today: int, escalated_today: int) -> None:
        self.readings = readings
        self.leads_today = leads_today
        self.escalated_today = escalated_today
        self._last: dict[str, CeilingReading] | None = None  # nothing was claimed since

    def ceilings(self, share: float, first_today: bool) -> Mapping[str, CeilingReading]:
        """Return the readings for the next lead; the share of escalations counts that lead in."""
        decided = self.leads_today + first_today
        # The same rounding as in commit.lua: below 1 / share leads a day, one escalation.
        allowed = max(1, int(share * decided + 1e-9))
        if self._last is None or self._last[ESCALATION_SHARE].maximum != allowed:
            self._last = {**self.readings, ESCALATION_SHARE: CeilingReading(self.escalated_today, allowed, None)}
        return self._last

    def take(self, ruling: Ruling) -> None:
        """Count what a ruling claims."""
        if ruling.claims:
            self._last = None
        for claim in ruling.claims:
            if claim.name == ESCALATION_SHARE:
                self.escalated_today += claim.amount
            else:
                reading = self.readings[claim.name]
                self.readings[claim.name] = replace(reading, used=reading.used + claim.amount)


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
