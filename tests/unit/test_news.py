from msgspec.structs import replace

from rules.decision import Assessment, Decision, Escalation, InterventionAction, Ruling
from rules.lead import LeadState
from rules.news import is_news
from rules.vocabulary import AssessmentSource, Cause, Channel, Stage, Verdict

NOW = 1_772_470_800_000
BEFORE = LeadState(Stage.ACTIVE_RISK, verdict=Verdict.DEFER, deferred_to=NOW + 1)
GRANTED = InterventionAction("i", Channel.EMAIL, "a", 1, NOW, NOW + 1, 0.0, None, "", "r")
RAISED = Escalation("e", 1, "manager", "critical", (), NOW + 1)
SAME = Decision(
    "d",
    "lead",
    Verdict.DEFER,
    Stage.ACTIVE_RISK,
    Assessment(0.7, AssessmentSource.MODEL, "m", NOW),
    (),
    (),
    None,
    Cause.SCHEDULE,
    "treatment",
    "p",
    "v",
    (),
    NOW,
    NOW + 1,
)


def news(decision: Decision, before: LeadState = BEFORE) -> bool:
    return is_news(before, Ruling(decision, before, None, ()))


def test_the_same_stage_and_verdict_without_a_contact_are_no_news() -> None:
    assert not news(SAME)
    assert not news(replace(SAME, assessment=replace(SAME.assessment, churn_probability=0.75), next_review_at=None))


def test_each_change_alone_is_news() -> None:
    assert news(replace(SAME, stage=Stage.CRITICAL_RISK))
    assert news(replace(SAME, verdict=Verdict.SUPPRESS))
    assert news(replace(SAME, interventions=(GRANTED,)))
    assert news(replace(SAME, escalation=RAISED))


def test_a_deferral_is_news_from_its_time_on() -> None:
    assert not news(SAME, replace(BEFORE, deferred_to=NOW + 1))
    assert news(SAME, replace(BEFORE, deferred_to=NOW))


def test_the_first_decision_about_a_lead_is_news() -> None:
    assert news(SAME, replace(BEFORE, verdict=0, deferred_to=None))
