"""What templates can say: the facts of a decision, by name. None of them identifies more than the lead's id."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from keepwell.v1.decision_pb2 import Decision, Escalation, InterventionAction, InterventionChannel, InterventionStage

Facts = dict[str, Any]

CHANNELS = {
    number: name.removeprefix("INTERVENTION_CHANNEL_").lower() for name, number in InterventionChannel.items() if number
}
_NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
# One of each, for trying templates at start. A fact that a decision may lack is none (`{% if expected_value is not none %}`).
INTERVENTION_SAMPLE: Facts = {
    "lead_id": "lead-1",
    "decision_id": "decision-1",
    "stage": "active_risk",
    "churn_probability": 0.7,
    "expected_days_to_churn": 21.0,
    "decided_at": _NOON,
    "intervention_id": "decision-1.1",
    "channel": "email",
    "playbook": "playbook",
    "priority": 1,
    "not_before": _NOON,
    "expire_time": _NOON,
    "expected_value": 100.0,
    "currency": "USD",
    "rule": "rule",
}
ESCALATION_SAMPLE: Facts = {
    "lead_id": "lead-1",
    "stage": "critical_risk",
    "escalation_id": "escalation-1",
    "target": "manager",
    "level": 1,
    "reason": "reason",
    "recommendations": ["recommendation"],
    "due_time": _NOON,
}


def instant(stamp: Timestamp) -> datetime:
    """Return a time of the contract as an aware datetime in UTC."""
    return stamp.ToDatetime(UTC)


def _stage(number: InterventionStage.ValueType) -> str:
    return InterventionStage.Name(number).removeprefix("INTERVENTION_STAGE_").lower()


def of_intervention(decision: Decision, action: InterventionAction) -> Facts:
    """Return the facts of a granted contact."""
    assessment = decision.assessment
    days = assessment.expected_days_to_churn if assessment.HasField("expected_days_to_churn") else None
    return {
        "lead_id": decision.lead_id,
        "decision_id": decision.decision_id,
        "stage": _stage(assessment.stage),
        "churn_probability": assessment.churn_probability,
        "expected_days_to_churn": days,
        "decided_at": instant(decision.decided_at),
        "intervention_id": action.intervention_id,
        "channel": CHANNELS.get(action.channel, ""),
        "playbook": action.playbook,
        "priority": action.priority,
        "not_before": instant(action.not_before),
        "expire_time": instant(action.expire_time),
        "expected_value": action.expected_value if action.HasField("expected_value") else None,
        "currency": action.currency,
        "rule": action.rule,
    }


def of_escalation(escalation: Escalation) -> Facts:
    """Return the facts of a hand-over to a person."""
    return {
        "lead_id": escalation.lead_id,
        "stage": _stage(escalation.stage),
        "escalation_id": escalation.escalation_id,
        "target": escalation.target,
        "level": escalation.level,
        "reason": escalation.reason,
        "recommendations": list(escalation.recommendations),
        "due_time": instant(escalation.due_time) if escalation.HasField("due_time") else None,
    }
