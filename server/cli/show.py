"""Decisions as lines that people read, in rich's markup."""

from keepwell.v1 import decision_pb2 as pb
from rich.markup import escape

BEYOND = "beyond 240"
COLOURS = {"CONTACT": "green", "DEFER": "yellow", "SUPPRESS": "red", "NO_ACTION": "dim", "HELD_OUT": "magenta"}


def verdict_name(decision: pb.Decision) -> str:
    """Return the verdict without its prefix."""
    return pb.Verdict.Name(decision.verdict).removeprefix("VERDICT_")


def stage_name(decision: pb.Decision) -> str:
    """Return the stage without its prefix."""
    return stage_text(decision.assessment)


def stage_text(assessment: pb.ChurnRiskAssessment) -> str:
    """Return an assessment's stage without its prefix."""
    return pb.InterventionStage.Name(assessment.stage).removeprefix("INTERVENTION_STAGE_").lower()


def reason_name(suppression: pb.Suppression) -> str:
    """Return the reason without its prefix."""
    return pb.ReasonCode.Name(suppression.reason).removeprefix("REASON_CODE_")


def channel_name(number: pb.InterventionChannel.ValueType) -> str:
    """Return a channel without its prefix; the escalation has none."""
    if not number:
        return "escalation"
    return pb.InterventionChannel.Name(number).removeprefix("INTERVENTION_CHANNEL_").lower()


def decision_lines(decision: pb.Decision) -> list[str]:
    """Return a decision as a headline, what was granted, and why the rest was not."""
    verdict = verdict_name(decision)
    colour = COLOURS.get(verdict, "white")
    assessment = decision.assessment
    who = escape(decision.lead_id)  # an id may look like markup
    head = f"[{colour}]{verdict:9}[/] {who}  {stage_name(decision)} (P {assessment.churn_probability:.3f})"
    lines = [f"{head}  {decision.decision_id}", f"  {_when(assessment)}"]
    for action in decision.interventions:
        lines.append(
            f"  + {channel_name(action.channel)}: {action.playbook}, until {action.expire_time.ToJsonString()}"
        )
    if decision.HasField("escalation"):
        lines.append(f"  ! {escape(decision.escalation.target)}: {escape(decision.escalation.reason)}")
    for suppression in decision.suppressions:
        lines.append(f"  - {_suppression(suppression)}")
    return [*lines, *_factors(assessment)]


def _when(assessment: pb.ChurnRiskAssessment) -> str:
    """Return when the lead is expected to leave, or why nothing is said."""
    time = assessment.time_to_churn
    if not assessment.HasField("time_to_churn"):
        reason = pb.NoEstimateReason.Name(assessment.no_estimate_reason).removeprefix("NO_ESTIMATE_REASON_")
        return f"leaves: no estimate ({reason})"
    middle = f"{assessment.expected_days_to_churn:.0f} d" if assessment.HasField("expected_days_to_churn") else BEYOND
    early = f"{time.early_days:.0f}" if time.HasField("early_days") else BEYOND
    late = f"{time.late_days:.0f}" if time.HasField("late_days") else BEYOND
    chances = (time.probability_7_days, time.probability_30_days, time.probability_90_days)
    within = ", ".join(f"{days} d {chance:.0%}" for days, chance in zip((7, 30, 90), chances, strict=True))
    return f"leaves: median {middle}, 10-90 % {early} to {late} d; within {within}"


def _factors(assessment: pb.ChurnRiskAssessment) -> list[str]:
    """Return what moved the score, in words; the log-odds add up to the probability's."""
    if not assessment.factors:
        return []
    lines = [f"  ~ {assessment.base_log_odds:+.3f}  the average lead (log-odds)"]
    for factor in assessment.factors:
        value = f": {escape(factor.value)}" if factor.value else ""
        lines.append(f"  ~ {factor.contribution:+.3f}  {factor.meaning}{value}")
    return lines


def _suppression(suppression: pb.Suppression) -> str:
    text = (
        f"{channel_name(suppression.channel)} {suppression.playbook}: {reason_name(suppression)} ({suppression.rule})"
    )
    if suppression.HasField("observed"):
        text += f", {suppression.observed:g} of {suppression.limit:g}"
    if suppression.HasField("next_eligible_time"):
        text += f", free at {suppression.next_eligible_time.ToJsonString()}"
    return text
