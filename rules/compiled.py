"""A policy as the engine and the combiner read it: flat rules, what each of them means, and the candidates.

Everything here is plain data, made once for each policy version by `compiler.py`.
"""

from dataclasses import dataclass
from typing import NamedTuple

from rules.document import PolicyDocument
from rules.hours import BlockedHours
from rules.vocabulary import Channel, ReasonCode, Stage
from rules.windows import CountingWindow

FactValue = bool | int | float | str


class Leaf(NamedTuple):
    """One comparison of a fact with a constant; operators: eq, neq, gt, gte, lt, lte."""

    fact: str
    operator: str
    constant: FactValue


class EngineRule(NamedTuple):
    """A conjunction of leaves; `trace` is the place of the policy's own rule that it belongs to, -1 if none."""

    name: str
    leaves: tuple[Leaf, ...]
    trace: int


class TraceRule(NamedTuple):
    """A rule as a person knows it; an `or` in it is several engine rules."""

    name: str
    condition: str


@dataclass(frozen=True)
class HoursRule:
    """Blocked hours as a fact: `fact` is true while they last."""

    fact: str
    hours: BlockedHours
    countries: tuple[str, ...] = ()  # only for leads of these countries; empty: for every lead
    unknown_country: bool = False  # also for a lead without a country


@dataclass(frozen=True)
class LimitRule:
    """A limit on contacts; `playbook` is the code of the one playbook it counts, 0 for all."""

    name: str
    fact: str
    channel: int  # 0: any
    playbook: int
    tenant: bool
    maximum: int
    window: CountingWindow
    reason: ReasonCode
    defers: bool
    variants: tuple[int, ...]  # engine rules: full when 0, 1, 2… contacts of this decision count, too


@dataclass(frozen=True)
class Denial:
    """What an engine rule that fired says against a candidate; `hours` says when it ends, no hours: never by itself."""

    rule: int
    reason: ReasonCode
    name: str
    hours: HoursRule | None = None
    defers: bool = False


@dataclass(frozen=True)
class Candidate:
    """One intervention that a stage may grant, and everything that can be said against it."""

    stage: Stage | None  # None: every stage above NONE
    channel: Channel
    playbook: str
    playbook_code: int
    cost: float
    name: str
    rules: tuple[int, ...]  # engine rules that propose it
    denials: tuple[Denial, ...]
    limits: tuple[LimitRule, ...]
    hours: tuple[HoursRule, ...]


@dataclass(frozen=True)
class EscalationRule:
    """When a person is called in, and what keeps it from happening."""

    stage: Stage
    target: str
    name: str
    rules: tuple[int, ...]
    cooldown_rule: int
    share_rule: int
    cooldown_ms: int
    acknowledge_ms: int


class Ceiling(NamedTuple):
    """A limit of the whole tenant, counted by the store."""

    name: str
    maximum: int
    window: CountingWindow


@dataclass(frozen=True)
class CompiledPolicy:
    """A whole policy, ready to be evaluated."""

    name: str
    version: str
    document: PolicyDocument
    tenant_zone: str
    rules: tuple[EngineRule, ...]
    trace_rules: tuple[TraceRule, ...]
    facts: tuple[str, ...]
    stages: tuple[tuple[int, Stage], ...]  # engine rule → the stage it says
    candidates: tuple[Candidate, ...]
    hours: tuple[HoursRule, ...]
    limits: tuple[LimitRule, ...]
    ceilings: tuple[Ceiling, ...]
    escalation: EscalationRule | None
