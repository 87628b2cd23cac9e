"""How a lead and a decision's inputs lie in the store: MessagePack arrays, field by field, in the order in which these classes name them.

So a class may only grow at its end: an array that is shorter than its class is an older record, and what it lacks takes the default.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from model.survival.estimate import PackedEstimate
from rules.decision import CeilingReading
from rules.lead import Consent, LeadProfile, RaisedEscalation
from rules.vocabulary import AssessmentSource, Cause, Stage
from server.road.job import DecideInput

IDS = 3  # so many fields of a DecideInput, its first ones, are ids, which the log knows otherwise


class DecisionInputs(Struct, frozen=True):
    """All that one decision was made from; with the policy and the model it names, enough to make it again."""

    request: DecideInput
    record: bytes
    now: int
    ceilings: Mapping[str, CeilingReading]
    model_fault: str
    reused: bool = False  # whether the record's own assessment was used again
    tenant_zone: str = ""  # the zone of the tenant's calendar; "" in decisions that do not say: the one that is set now


class StoredState(Struct, array_like=True):
    """A LeadState as it lies in the store."""

    stage: Stage
    stage_since: int
    below_stage_since: int | None
    contacts: bytes
    consent: tuple[tuple[int, Consent], ...]
    last_decided_at: int
    last_escalated_at: int | None
    escalation: RaisedEscalation | None
    next_review_at: int | None = None
    verdict: int = 0
    deferred_to: int | None = None


class StoredAssessment(Struct, array_like=True):
    """A LastAssessment as it lies in the store: without what the record has anyway, its model's hash as bytes."""

    churn_probability: float
    source: AssessmentSource
    model_version: Any  # bytes for a hash, else text
    assessed_at: int  # 0: when the lead was last decided about
    stands: bool = False
    time_to_churn: PackedEstimate = 0


class StoredRecord(Struct, array_like=True):
    """A LeadRecord as it lies in the store."""

    profile: LeadProfile | None
    numeric: tuple[float | None, ...] | bytes  # bytes: an older record's row
    categories: tuple[str, ...]
    features_as_of: int | None
    state: StoredState
    assessment: StoredAssessment | None
    activity: Any
    activity_at: int = 0


class StoredRequest(Struct, array_like=True):
    """What the log keeps of a DecideInput: all but its ids."""

    numbers: bytes
    categories: tuple[str, ...]
    features_as_of: int | None
    churn_probability: float | None
    profile: dict[str, Any]
    explain: bool
    cause: Cause


class StoredInputs(Struct, array_like=True):
    """DecisionInputs as they lie in the log."""

    request: StoredRequest
    record: bytes
    now: int
    ceilings: dict[str, CeilingReading]
    model_fault: str
    reused: bool = False
    tenant_zone: str = ""
