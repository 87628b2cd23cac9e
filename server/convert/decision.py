"""A decision as the contract says it, and as bytes.

A decision is serialised once, and only what is its own: protobuf reads the pieces of a message that lie behind each other as one. What a
decision shares with others of its batch is made once and laid before it; its trace, which depends on the policy version and on which rules
hit alone, is made once for each such pair and laid behind it.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct as Layout
from typing import Any, Final, NamedTuple

from keepwell.v1 import decision_pb2, decision_service_pb2
from msgspec.structs import astuple

from rules.compiled import TraceRule
from rules.decision import Decision, Escalation, InterventionAction, Suppression
from rules.remembered import Remembered
from rules.vocabulary import AssessmentSource, Cause, Channel, Stage, Verdict
from server.convert.assessment import own_assessment
from server.convert.checks import timestamp_of, wire
from server.convert.pieces import DOUBLE, embedded, tag
from server.feed.item import FeedItem
from server.road.assessed import Assessed

NO_CHANNEL = decision_pb2.INTERVENTION_CHANNEL_UNSPECIFIED
EXPECTED_VALUE, EXPECTED_VALUE_TAG = Layout("<Bd"), tag(decision_pb2.InterventionAction, "expected_value", DOUBLE)
# The fields of a decision that many decisions of a batch share, in the order of `encode_decision`.
Shared = tuple[Verdict, Stage, AssessmentSource, str, str, int, Cause, str, str, str, int, int | None]
HIT = decision_pb2.RULE_OUTCOME_HIT
NO_HIT = decision_pb2.RULE_OUTCOME_NO_HIT


def _intervention(action: InterventionAction) -> bytes:
    """Return the bytes of one of a decision's contacts, its fields in their order; most are the same for many leads."""
    value = action.expected_value
    return embedded(
        5,
        embedded(1, action.intervention_id.encode())
        + _offer(action.channel, action.playbook, action.priority, action.not_before, action.expires_at, action.cost)
        + (b"" if value is None else EXPECTED_VALUE.pack(EXPECTED_VALUE_TAG, value))
        + _terms(action.currency, action.rule),
    )


@lru_cache(maxsize=8_192)
def _offer(channel: Channel, playbook: str, priority: int, not_before: int, expires_at: int, cost: float) -> bytes:
    message = decision_pb2.InterventionAction(
        channel=wire(channel),
        playbook=playbook,
        priority=priority,
        not_before=timestamp_of(not_before),
        expire_time=timestamp_of(expires_at),
        cost=cost,
    )
    return message.SerializeToString(deterministic=True)


@lru_cache(maxsize=1_024)
def _terms(currency: str, rule: str) -> bytes:
    return decision_pb2.InterventionAction(currency=currency, rule=rule).SerializeToString(deterministic=True)


def _suppression(suppression: Suppression) -> bytes:
    """Return the bytes of one of a decision's suppressions; all but its time is the same for many more leads."""
    fields = astuple(suppression)
    said, eligible_at = _WITHHELD[fields[:-1]], fields[-1]
    return embedded(6, said if eligible_at is None else said + embedded(8, _TIMESTAMPS[eligible_at]))


def _withheld(fields: tuple[Any, ...]) -> bytes:
    """Return the bytes of a suppression without its time."""
    said = Suppression(*fields)
    message = decision_pb2.Suppression(
        channel=wire(said.channel or NO_CHANNEL),
        playbook=said.playbook,
        reason=wire(said.reason),
        rule=said.rule,
        limit_name=said.limit_name,
        observed=said.observed,
        limit=said.limit,
    )
    return message.SerializeToString(deterministic=True)


def _timestamp(instant: int) -> bytes:
    return timestamp_of(instant).SerializeToString(deterministic=True)


_SUPPRESSIONS: Final = Remembered(_suppression)
_WITHHELD: Final = Remembered(_withheld)
_TIMESTAMPS: Final = Remembered(_timestamp, kept=8_192)


def escalation_message(lead_id: str, escalation: Escalation) -> decision_pb2.Escalation:
    """Return an escalation that was just raised."""
    return decision_pb2.Escalation(
        escalation_id=escalation.escalation_id,
        level=escalation.level,
        target=escalation.target,
        reason=escalation.reason,
        recommendations=escalation.recommendations,
        state=decision_pb2.ESCALATION_STATE_OPEN,
        due_time=timestamp_of(escalation.due_at),
        lead_id=lead_id,
    )


def encode_decision(decision: Decision, assessed: Assessed) -> bytes:
    """Return a decision's bytes without its trace; the same decision gives the same bytes."""
    assessment = assessed.assessment
    shared: Shared = (
        decision.verdict,
        decision.stage,
        assessment.source,
        assessment.model_version,
        assessment.degraded_reason,
        assessment.assessed_at,
        decision.cause,
        decision.holdout_arm,
        decision.policy_name,
        decision.policy_version,
        decision.decided_at,
        decision.next_review_at,
    )
    parts = [
        _FRAMES[shared],
        embedded(1, decision.decision_id.encode()),
        embedded(2, decision.lead_id.encode()),
        embedded(4, own_assessment(assessment.churn_probability, assessed.time_to_churn, assessed.explanation)),
    ]
    parts += [_intervention(action) for action in decision.interventions]
    parts += [_SUPPRESSIONS[suppression] for suppression in decision.suppressions]
    if decision.escalation is not None:
        raised = escalation_message(decision.lead_id, decision.escalation)
        parts.append(embedded(7, raised.SerializeToString(deterministic=True)))
    return b"".join(parts)


def _frame(shared: Shared) -> bytes:
    """Return the part of a decision's bytes that many decisions of a batch share."""
    verdict, stage, source, model_version, degraded_reason, assessed_at = shared[:6]
    cause, holdout_arm, policy_name, policy_version, decided_at, next_review_at = shared[6:]
    opening = _opening(verdict, stage, source, model_version, degraded_reason)
    assessment = embedded(4, opening.assessment + embedded(8, _TIMESTAMPS[assessed_at]))
    origin = _origin(cause, holdout_arm, policy_name, policy_version, model_version)
    review = b"" if next_review_at is None else embedded(15, _TIMESTAMPS[next_review_at])
    return opening.verdict + assessment + origin + embedded(14, _TIMESTAMPS[decided_at]) + review


_FRAMES: Final = Remembered(_frame)


class _Opening(NamedTuple):
    """The verdict as a decision's field, and those fields of its assessment that lie before the instant."""

    verdict: bytes
    assessment: bytes


# What no instant is in: from one batch to the next a frame is put together of these, at a fifth of what protobuf takes for it.
@lru_cache(maxsize=4_096)
def _opening(
    verdict: Verdict, stage: Stage, source: AssessmentSource, model_version: str, degraded_reason: str
) -> _Opening:
    assessment = decision_pb2.ChurnRiskAssessment(
        stage=wire(stage), model_version=model_version, source=wire(source), degraded_reason=degraded_reason
    )
    return _Opening(
        decision_pb2.Decision(verdict=wire(verdict)).SerializeToString(deterministic=True),
        assessment.SerializeToString(deterministic=True),
    )


@lru_cache(maxsize=4_096)
def _origin(cause: Cause, holdout_arm: str, policy_name: str, policy_version: str, model_version: str) -> bytes:
    message = decision_pb2.Decision(
        cause=wire(cause),
        holdout_arm=holdout_arm,
        policy_name=policy_name,
        policy_version=policy_version,
        model_version=model_version,
    )
    return message.SerializeToString(deterministic=True)


def trace_bytes(rules: Sequence[TraceRule], fired: bytes) -> bytes:
    """Return the trace of a decision: every rule of the policy and whether it hit, as the bytes of `Decision.rule_trace`."""
    hits = frozenset(fired)
    return b"".join([_traced(rule.name, rule.condition, place in hits) for place, rule in enumerate(rules)])


@lru_cache(maxsize=8_192)
def _traced(rule: str, condition: str, hit: bool) -> bytes:
    entry = decision_pb2.RuleTraceEntry(rule=rule, outcome=HIT if hit else NO_HIT, detail=condition)
    return decision_pb2.Decision(rule_trace=[entry]).SerializeToString(deterministic=True)


def identity(decision: bytes) -> tuple[str, str] | None:
    """Return whose decision these bytes are, and the version of the model behind it ("": the caller's probability); None for damaged ones."""
    message = _readable(decision)
    return None if isinstance(message, Exception) else (message.lead_id, message.model_version)


def _readable(decision: bytes) -> decision_pb2.Decision | Exception:
    try:
        return decision_pb2.Decision.FromString(decision)
    except Exception as error:  # noqa: BLE001 (damaged bytes raise DecodeError in one runtime and others in another)
        return error


def feed_item(log_id: str, decision: bytes, trace: bytes) -> FeedItem:
    """Return a decision as the feed sends it."""
    message = decision_pb2.Decision.FromString(decision)
    return FeedItem(
        log_id,
        message.lead_id,
        message.assessment.stage,
        message.verdict,
        frozenset(action.channel for action in message.interventions),
        message.HasField("escalation"),
        embedded(1, decision + trace),
    )


def decide_response(decision: bytes, *, replayed: bool) -> bytes:
    """Return the bytes of a DecideResponse."""
    return embedded(1, decision) + (b"\x10\x01" if replayed else b"")


def mismatches(stored: bytes, recomputed: bytes) -> list[decision_service_pb2.FieldMismatch]:
    """Return the fields in which two decisions differ, by path; bytes that no field explains are named `bytes`."""
    if stored == recomputed:
        return []
    old = _readable(stored)
    if isinstance(old, Exception):
        return [decision_service_pb2.FieldMismatch(field_path="decision", stored=f"unreadable: {old}")]
    found: list[decision_service_pb2.FieldMismatch] = []
    _compare(old, decision_pb2.Decision.FromString(recomputed), "", found)
    return found or [
        decision_service_pb2.FieldMismatch(field_path="bytes", stored=stored.hex(), recomputed=recomputed.hex())
    ]


def _compare(old: object, new: object, path: str, found: list[decision_service_pb2.FieldMismatch]) -> None:
    """Walk two values of the same kind."""
    if old == new:
        return
    if hasattr(old, "DESCRIPTOR") and hasattr(new, "DESCRIPTOR"):
        for field in old.DESCRIPTOR.fields:
            name = f"{path}.{field.name}" if path else field.name
            _compare(getattr(old, field.name), getattr(new, field.name), name, found)
    elif isinstance(old, Sequence) and isinstance(new, Sequence) and not isinstance(old, str | bytes):
        for place in range(max(len(old), len(new))):
            before = old[place] if place < len(old) else "absent"
            after = new[place] if place < len(new) else "absent"
            _compare(before, after, f"{path}[{place}]", found)
    else:
        found.append(decision_service_pb2.FieldMismatch(field_path=path, stored=str(old), recomputed=str(new)))
