"""Decisions as lines that people read."""

from keepwell.v1 import decision_pb2 as pb

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
    head = f"[{colour}]{verdict:9}[/] {decision.lead_id}  {stage_name(decision)} (P {assessment.churn_probability:.3f})"
    lines = [f"{head}  {decision.decision_id}"]
    for action in decision.interventions:
        lines.append(
            f"  + {channel_name(action.channel)}: {action.playbook}, until {action.expire_time.ToJsonString()}"
        )
    if decision.HasField("escalation"):
        lines.append(f"  ! {decision.escalation.target}: {decision.escalation.reason}")
    for suppression in decision.suppressions:
        lines.append(f"  - {_suppression(suppression)}")
    for factor in assessment.factors:
        lines.append(f"  ~ {factor.feature} = {factor.value}: {factor.contribution:+.3f}")
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
