"""Outcomes, checked, as the road takes them, and what a decision says of its interventions."""

import math

from keepwell.v1 import decision_pb2, outcome_service_pb2

from model.features import LARGEST
from rules.outcome import SAY_SENT
from rules.vocabulary import InterventionOutcome
from server.convert.checks import Checker, instant_of
from server.convert.request import fingerprint_of
from server.road.reporting import OutcomeInput
from server.store.outcome_record import Grant

LONGEST_DETAIL = 512
OUTCOMES = frozenset(map(int, InterventionOutcome))


def outcome_of(path: str, message: outcome_service_pb2.Outcome) -> OutcomeInput:
    """Return what the road takes; raises InvalidFieldsError with every bad field, by its path (`path` ends with a dot)."""
    check = Checker()
    check.identifier(f"{path}outcome_id", message.outcome_id)
    check.identifier(f"{path}intervention_id", message.intervention_id)
    was_sent = message.was_sent if message.HasField("was_sent") else None
    if int(message.outcome) not in OUTCOMES:
        check.note(f"{path}outcome", f"must be one of {', '.join(decision_pb2.InterventionOutcome.keys()[1:])}")
    elif was_sent is False and InterventionOutcome(message.outcome) in SAY_SENT:
        name = InterventionOutcome(message.outcome).name
        check.note(f"{path}was_sent", f"must be true or absent: {name} says that it was sent")
    check.text(f"{path}detail", message.detail, LONGEST_DETAIL)
    if message.HasField("revenue") and not (math.isfinite(message.revenue) and 0 <= message.revenue <= LARGEST):
        check.note(f"{path}revenue", f"must be a finite number in [0, {LARGEST:g}]")
    occurred_at = check.instant(f"{path}occur_time", message.occur_time) if message.HasField("occur_time") else None
    check.raise_if_any()
    return OutcomeInput(
        message.outcome_id,
        message.intervention_id,
        InterventionOutcome(message.outcome),
        occurred_at,
        was_sent,
        fingerprint_of(message),
        message.SerializeToString(deterministic=True),
        path,
    )


def grants_of(decision: bytes) -> tuple[str, dict[str, Grant]]:
    """Return a decision's lead, and its interventions by their ids."""
    message = decision_pb2.Decision.FromString(decision)
    granted_at = instant_of(message.decided_at)
    return message.lead_id, {
        action.intervention_id: Grant(
            action.channel,
            action.playbook,
            message.assessment.stage,
            action.cost,
            action.currency,
            message.policy_version,
            granted_at,
        )
        for action in message.interventions
    }
