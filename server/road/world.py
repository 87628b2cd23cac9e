"""What a batch is decided under. Plain classes, which can be compiled: each of its leads looks at them time and again."""

from collections.abc import Callable
from dataclasses import dataclass

from rules.compiled import Ceiling
from rules.decide import Decider
from rules.decision import Decision
from server.road.assessed import Assessed, Model, Reuse
from server.road.day import Day

EncodeDecision = Callable[[Decision, Assessed], bytes]


@dataclass(frozen=True)
class Policy:
    """The policy that a batch is decided by; `decider` belongs to the worker thread."""

    name: str
    version: str
    source: str
    decider: Decider
    ceilings: tuple[Ceiling, ...]
    escalation_share: float


@dataclass(frozen=True)
class World:
    """What all leads of one partition's batch are decided under."""

    tenant: str
    policy: Policy
    model: Model
    now: int
    day: Day
    encode: EncodeDecision
    reuse: Reuse
