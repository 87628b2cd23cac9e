"""A tenant's own attributes in its rules: text that is read as what it is compared with, or is unknown."""

from collections.abc import Iterator

import pytest

from rules.compiler import compile_policy
from rules.decide import Decider
from rules.decision import Assessment, Situation
from rules.lead import LeadProfile, LeadState
from rules.source import read_policy
from rules.vocabulary import AssessmentSource, Cause

NOON = 1_772_366_400_000
POLICY = """
schema: keepwell.policy/v1
name: attributes
interventions:
  early_warning: [{channel: email, playbook: news}]
  active_risk: [{channel: email, playbook: news}]
  critical_risk: [{channel: email, playbook: news}]
rules:
  - {name: own, when: {all: [{fact: lead.attributes.own, OPERATOR: CONSTANT}]}, then: {suppress: {channels: [email]}, reason: not_eligible}}
"""


@pytest.fixture
def decider(request: pytest.FixtureRequest) -> Iterator[Decider]:
    operator, constant = request.param
    text = POLICY.replace("OPERATOR", operator).replace("CONSTANT", constant)
    made = Decider(compile_policy(read_policy(text), "v"), sample_every=1)
    yield made
    assert (made.faults, made.disagreements) == (0, 0)
    made.close()


def denied(decider: Decider, attributes: dict[str, str]) -> bool:
    profile = LeadProfile(attributes=attributes)
    assessment = Assessment(0.5, AssessmentSource.CALLER, "", NOON)
    facts = Situation("d", "lead", NOON, Cause.REQUEST, profile, LeadState(), assessment, 100.0)
    return not decider.decide(facts).decision.interventions


@pytest.mark.parametrize(
    ("decider", "text", "expected"),
    [
        (("gte", "5"), "5", True),
        (("gte", "5"), "4.999", False),
        (("gte", "5"), " 6 ", True),
        (("gte", "5"), "many", False),
        (("lt", "5"), "many", False),
        (("lt", "5"), "-1e299", True),
        (("lt", "5"), "-1e300", False),
        (("lt", "5"), "nan", False),
        (("gt", "5"), "inf", False),
        (("neq", "5"), "many", False),
        (("eq", "true"), "TRUE", True),
        (("eq", "true"), "false", False),
        (("eq", "false"), "false", True),
        (("eq", "false"), "no", False),
        (("neq", "true"), "no", False),
        (("eq", "gold"), "gold", True),
        (("eq", "gold"), "Gold", False),
        (("neq", "gold"), "", True),
    ],
    indirect=["decider"],
)
def test_an_attribute_is_read_as_what_it_is_compared_with(decider: Decider, text: str, expected: bool) -> None:
    assert denied(decider, {"own": text}) is expected


@pytest.mark.parametrize("decider", [("neq", "gold"), ("lt", "5"), ("neq", "5"), ("eq", "false")], indirect=True)
def test_an_attribute_that_is_not_there_makes_no_condition_true(decider: Decider) -> None:
    assert not denied(decider, {"other": "gold"})
