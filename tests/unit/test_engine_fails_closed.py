"""A rule engine that fails, or is wrong: nothing is granted on its word, and it is back as soon as it can be."""

from collections.abc import Callable, Iterator
from typing import Any

import durable_rules_engine as durable
import pytest

from rules.compiler import compile_policy
from rules.decide import Decider
from rules.decision import Assessment, Decision, Situation
from rules.engine import RuleEngine
from rules.lead import LeadProfile, LeadState
from rules.source import read_policy
from rules.vocabulary import AssessmentSource, Cause, ReasonCode, Stage, Verdict

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z
POLICY = compile_policy(
    read_policy("""
schema: keepwell.policy/v1
name: failing
interventions:
  early_warning: [{channel: email, playbook: news}]
  active_risk: [{channel: email, playbook: news}, {channel: sms, playbook: hint}]
  critical_risk: [{channel: phone, playbook: call}]
max_interventions: {active_risk: 2}
escalation: {when: {stage: critical_risk}, target: manager, cooldown: 24h, max_share: 1.0, acknowledge_within: 1h}
"""),
    "v",
)


@pytest.fixture
def deciders() -> Iterator[Callable[[int], Decider]]:
    """Deciders that sample every so many evaluations, closed at the end."""
    made: list[Decider] = []

    def deciding(sample_every: int) -> Decider:
        made.append(Decider(POLICY, sample_every))
        return made[-1]

    yield deciding
    for decider in made:
        decider.close()


def decide(decider: Decider, probability: float = 0.7) -> Decision:
    assessment = Assessment(probability, AssessmentSource.CALLER, "", NOON)
    profile = LeadProfile(time_zone="Europe/Berlin")
    return decider.decide(Situation("d", "lead", NOON, Cause.REQUEST, profile, LeadState(), assessment, 100.0)).decision


def grants(decision: Decision) -> tuple[Verdict, Stage, list[str]]:
    return decision.verdict, decision.stage, [action.playbook for action in decision.interventions]


CONTACT = (Verdict.CONTACT, Stage.ACTIVE_RISK, ["news", "hint"])


def assert_nothing_granted(decision: Decision, stage: Stage, playbooks: list[str]) -> None:
    assert grants(decision) == (Verdict.SUPPRESS, stage, [])
    reasons = [
        (reason.playbook, reason.reason, reason.rule, reason.next_eligible_at) for reason in decision.suppressions
    ]
    assert reasons == [(playbook, ReasonCode.RULE_ERROR, "engine", None) for playbook in playbooks]
    assert decision.escalation is None


def failing(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the C engine refuse the next so many facts."""
    left = iter(range(times))
    real = durable.assert_fact

    def assert_fact(*arguments: Any) -> Any:
        if next(left, None) is None:
            return real(*arguments)
        raise RuntimeError("Could not assert fact, error code: 101")

    monkeypatch.setattr(durable, "assert_fact", assert_fact)


def test_a_fault_grants_nothing_and_the_next_decision_is_as_ever(
    deciders: Callable[[int], Decider], monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = deciders(256)
    failing(monkeypatch, 1)
    assert_nothing_granted(decide(decider), Stage.ACTIVE_RISK, ["news", "hint"])
    assert decider.faults == 1
    assert grants(decide(decider)) == CONTACT
    assert decider.faults == 1


def test_an_engine_that_cannot_be_rebuilt_grants_nothing_until_it_can(
    deciders: Callable[[int], Decider], monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = deciders(256)
    failing(monkeypatch, 3)  # a fact, the rebuilt engine's first one, and a fact again
    for fault in (1, 2):
        assert_nothing_granted(decide(decider), Stage.ACTIVE_RISK, ["news", "hint"])
        assert decider.faults == fault
    assert grants(decide(decider)) == CONTACT


def test_a_failing_engine_escalates_nobody(deciders: Callable[[int], Decider], monkeypatch: pytest.MonkeyPatch) -> None:
    decider = deciders(256)
    failing(monkeypatch, 1)
    assert_nothing_granted(decide(decider, 0.9), Stage.CRITICAL_RISK, ["call"])
    assert decide(decider, 0.9).escalation is not None


def test_an_answer_that_the_interpreter_does_not_confirm_grants_nothing(
    deciders: Callable[[int], Decider], monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = deciders(1)
    honest = RuleEngine.fired
    monkeypatch.setattr(RuleEngine, "fired", lambda engine, facts: honest(engine, facts)[1:])
    assert_nothing_granted(decide(decider), Stage.ACTIVE_RISK, ["news", "hint"])
    assert (decider.faults, decider.disagreements) == (0, 1)
    monkeypatch.undo()
    assert grants(decide(decider)) == CONTACT


def test_a_wrong_answer_that_was_remembered_is_forgotten_once_it_is_found_out(
    deciders: Callable[[int], Decider], monkeypatch: pytest.MonkeyPatch
) -> None:
    decider = deciders(2)  # the second evaluation is the first that is sampled
    honest = RuleEngine.fired
    seen, other = '"churn_probability":0.7', '"churn_probability":0.9'
    monkeypatch.setattr(RuleEngine, "fired", lambda engine, facts: honest(engine, facts.replace(seen, other)))
    wrong = (Verdict.CONTACT, Stage.CRITICAL_RISK, ["call"])
    assert grants(decide(decider)) == wrong  # and nobody has looked yet
    monkeypatch.undo()
    assert_nothing_granted(decide(decider), Stage.ACTIVE_RISK, ["news", "hint"])
    assert decider.disagreements == 1
    assert grants(decide(decider)) == CONTACT
