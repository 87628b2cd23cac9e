"""A decision, and all that it was made from: the core's own types, without transport or store.

`Situation` is everything that `decide()` may look at; `Ruling` is everything that follows from it.
"""

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

from rules.lead import LeadProfile, LeadState
from rules.vocabulary import AssessmentSource, Cause, Channel, ReasonCode, Stage, Verdict

HOLDOUT, TREATMENT = "holdout", "treatment"


class Assessment(Struct, frozen=True):
    """How likely the lead is to churn, and who says so."""

    churn_probability: float
    source: AssessmentSource
    model_version: str
    assessed_at: int
    degraded_reason: str = ""
    features_as_of: int | None = None  # None: no features are known


class CeilingReading(Struct, frozen=True, array_like=True):
    """How far a tenant-wide ceiling is used up, as read together with the lead."""

    used: int
    maximum: int
    releases_at: int | None  # when one more fits again; None: unknown


class Situation(Struct, frozen=True):
    """Everything that one decision is made from."""

    decision_id: str
    lead_id: str
    now: int
    cause: Cause
    profile: LeadProfile
    state: LeadState
    assessment: Assessment
    holdout_bucket: float  # the lead's fixed place in [0, 100); below the policy's percent it is held out
    ceilings: Mapping[str, CeilingReading] = MappingProxyType({})  # by ceiling name


class InterventionAction(Struct, frozen=True):
    """A granted contact: carry it out in [not_before, expires_at), or not at all."""

    intervention_id: str
    channel: Channel
    playbook: str
    priority: int  # 1 is the first
    not_before: int
    expires_at: int
    cost: float
    expected_value: float | None
    currency: str
    rule: str


class Suppression(Struct, frozen=True):
    """One reason why a contact (or, without a channel, the escalation) was withheld."""

    channel: Channel | None
    playbook: str
    reason: ReasonCode
    rule: str
    limit_name: str = ""
    observed: float | None = None
    limit: float | None = None
    next_eligible_at: int | None = None  # None: never, without a change of state


class Arbitration(Struct, frozen=True):
    """What became of the candidates."""

    verdict: Verdict
    interventions: tuple[InterventionAction, ...]
    suppressions: tuple[Suppression, ...]
    claims: Mapping[str, int]  # by ceiling name
    closes_at: int | None  # the first instant at which a granted one would be blocked
    deferred_to: int | None  # of a contact put off: the first instant at which one is free


class Escalation(Struct, frozen=True):
    """A hand-over to a person above the owner."""

    escalation_id: str
    level: int
    target: str
    reason: str
    recommendations: tuple[str, ...]
    due_at: int


class Decision(Struct, frozen=True):
    """What was decided for one lead at one instant."""

    decision_id: str
    lead_id: str
    verdict: Verdict
    stage: Stage
    assessment: Assessment
    interventions: tuple[InterventionAction, ...]
    suppressions: tuple[Suppression, ...]
    escalation: Escalation | None
    cause: Cause
    holdout_arm: str  # HOLDOUT or TREATMENT
    policy_name: str
    policy_version: str
    hits: tuple[int, ...]  # places of the rules that hit in the compiled policy's `trace_rules`, ascending
    decided_at: int
    next_review_at: int | None


class CeilingClaim(Struct, frozen=True):
    """So many units of a tenant-wide ceiling that the commit has to take, or refuse."""

    name: str
    amount: int


class Ruling(Struct, frozen=True):
    """A decision together with what its commit has to do and to check."""

    decision: Decision
    next_state: LeadState
    holds_until: int | None  # the decision is wrong at and after this instant (quiet hours begin, a day ends)
    claims: tuple[CeilingClaim, ...]
