"""Calling in a person: when, and what keeps it from happening."""

from msgspec import Struct
from msgspec.structs import replace

from rules.compiled import CompiledPolicy, EscalationRule
from rules.decision import Escalation, Situation, Suppression
from rules.vocabulary import ReasonCode, Stage

MINUTE_MS = 60_000


class EscalationOutcome(Struct, frozen=True):
    """An escalation, or why there is none."""

    escalation: Escalation | None = None
    suppressions: tuple[Suppression, ...] = ()


NOT_ASKED = EscalationOutcome()


def escalate(
    policy: CompiledPolicy,
    situation: Situation,
    now: int,
    stage: Stage,
    fired: frozenset[int],
    *,
    held_out: bool,
) -> EscalationOutcome:
    """Return the escalation that the stage asks for; nothing when it asks for none."""
    rule = policy.escalation
    if rule is None or stage is not rule.stage or fired.isdisjoint(rule.rules):
        return NOT_ASKED
    if held_out:
        return EscalationOutcome(suppressions=(Suppression(None, "", ReasonCode.HELD_OUT, "holdout"),))
    withheld = _withheld(rule, situation, now, fired)
    if withheld:
        return EscalationOutcome(suppressions=tuple(withheld))
    return EscalationOutcome(_raise(rule, situation, now))


def _withheld(rule: EscalationRule, situation: Situation, now: int, fired: frozenset[int]) -> list[Suppression]:
    found = []
    eligible = None
    last = situation.state.last_escalated_at
    if rule.cooldown_rule in fired and last is not None:
        eligible = last + rule.cooldown_ms
        passed, needed = (now - last) / MINUTE_MS, rule.cooldown_ms / MINUTE_MS
        found.append(
            Suppression(None, "", ReasonCode.ESCALATION_COOLDOWN, "escalation.cooldown", "", passed, needed, eligible)
        )
    if rule.share_rule in fired:
        reading = situation.ceilings["escalation_share"]
        found = [replace(reason, next_eligible_at=None) for reason in found]
        observed, limit = float(reading.used), float(reading.maximum)
        found.append(Suppression(None, "", ReasonCode.ESCALATION_SHARE, "escalation.share", "", observed, limit))
    return found


def _raise(rule: EscalationRule, situation: Situation, now: int) -> Escalation:
    profile, probability = situation.profile, situation.assessment.churn_probability
    worth = "unknown value" if profile.value is None else f"value {profile.value:,.0f} {profile.currency}".strip()
    recommendations = [f"Call first: churn probability {probability:.2f}, {worth}."]
    if profile.owner:
        recommendations.append(f"Ask {profile.owner}, who looks after the lead, what changed.")
    if situation.state.contacts:
        days = (now - situation.state.contacts[-1].at) // 86_400_000
        recommendations.append(f"Last contact {days} days ago; do not repeat it.")
    return Escalation(
        f"{situation.decision_id}.e",
        1,
        rule.target,
        f"{rule.stage.name.lower()} at churn probability {probability:.2f}",
        tuple(recommendations),
        now + rule.acknowledge_ms,
    )
