from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.answer import Answer
from rules.canary import vectors
from rules.cells import Answers, cell_of, cells_of
from rules.compiler import compile_policy
from rules.counts import ContactCounts, Counted
from rules.decision import Assessment, CeilingReading, Situation
from rules.eligibility import use_of
from rules.lead import Consent, Contact, LeadProfile, LeadState
from rules.moment import moment_of
from rules.reference import true_rules
from rules.sheet import FactSheet
from rules.source import read_policy
from rules.vocabulary import AssessmentSource, Cause, Channel, ConsentState, Stage
from server.policies import SHIPPED

DAY = 86_400_000
NOW = 1_772_366_400_000  # 2026-03-01T12:00:00Z
GOLD_IS_CALLED = """
  - name: gold_is_called
    when: {all: [{fact: lead.attributes.tier, eq: gold}, {fact: lead.attributes.seats, gt: 11}]}
    then: {grant: {channel: phone, playbook: gold_call}}
"""
POLICY = compile_policy(read_policy(SHIPPED.read_text() + GOLD_IS_CALLED), "v")
REMEMBERING = FactSheet(POLICY)


def look(value: Any, _: Any) -> Any:
    return value


def test_a_bound_is_a_cell_of_its_own() -> None:
    cell = cell_of(look, [0.3, 0.6, 0.3])
    values: list[Any] = [0.0, 0.29999999999999993, 0.3, 0.30000000000000004, 0.6, 1.0]
    assert [cell(value, None) for value in values] == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize("mark", [3, 2**53, 2**53 + 1, -(2**60) - 1])
def test_a_whole_bound_is_a_cell_of_its_own_where_floats_are_too_far_apart(mark: int) -> None:
    cell = cell_of(look, [mark])
    values: list[Any] = [mark - 1, mark, mark + 1]
    assert [cell(value, None) for value in values] == [0, 1, 2]


@pytest.mark.parametrize(("value", "cell"), [("US", "US"), ("", ""), ("DE", None)])
def test_a_text_is_one_of_those_compared_with_or_none_of_them(value: Any, cell: str | None) -> None:
    assert cell_of(look, ["US", ""])(value, None) == cell


def fact(name: str) -> Any:
    return lambda facts, _: facts[name]


PLAIN: list[Any] = list(cells_of(POLICY.rules, {name: fact(name) for name in POLICY.facts}).values())
SEEN: dict[Any, Any] = {}
STANDS_FOR: dict[Any, Any] = {}


def test_situations_in_the_same_cells_make_the_same_rules_true() -> None:
    answers = defaultdict(set)
    for facts in vectors(POLICY, 4_000):
        answers[tuple(cell(facts, None) for cell in PLAIN)].add(true_rules(POLICY.rules, facts))
    assert {len(found) for found in answers.values()} == {1}


def test_answers_that_nobody_asks_for_make_room() -> None:
    first, second, third, fourth = (Answer(frozenset({rule}), (), Stage.NONE, Stage.NONE) for rule in range(4))
    answers = Answers(kept=2)
    for place, answer in enumerate((first, second, third)):
        answers.keep((place,), answer)
    assert answers.get((0,)) is first  # of the older generation, and now of the younger
    answers.keep((3,), fourth)
    assert [answers.get((place,)) for place in range(4)] == [first, None, third, fourth]


CONTACTS = st.lists(
    st.builds(Contact, st.integers(NOW - 8 * DAY, NOW), st.sampled_from([1, 2, 3]), st.just(7), st.just(1)), max_size=2
)
CONSENTS = st.dictionaries(
    st.sampled_from(list(Channel)), st.sampled_from([Consent(state, "call", 1) for state in ConsentState]), max_size=3
)


@given(
    zone=st.sampled_from(["America/New_York", "Asia/Kolkata", ""]),
    country=st.sampled_from(["US", "DE", ""]),
    now=st.integers(NOW, NOW + 2 * DAY),
    contacts=CONTACTS,
    consent=CONSENTS,
    used=st.sampled_from([-3, -2, -1, 0]),
    escalated=st.integers(0, 1),
    attributes=st.fixed_dictionaries(
        {},
        optional={
            "open_complaint": st.sampled_from(["true", "false", "perhaps"]),
            "tier": st.sampled_from(["gold", "tin"]),
            "seats": st.sampled_from(["11", "12", "many"]),
        },
    ),
)
@settings(max_examples=300)
def test_remembered_cells_are_those_that_are_worked_out(
    zone: str,
    country: str,
    now: int,
    contacts: list[Contact],
    consent: dict[int, Consent],
    used: int,
    escalated: int,
    attributes: dict[str, str],
) -> None:
    ceilings = {each.name: CeilingReading(each.maximum + used, each.maximum, None) for each in POLICY.ceilings}
    ceilings["escalation_share"] = CeilingReading(escalated, 1, None)
    state = LeadState(contacts=tuple(sorted(contacts)), consent=consent)
    profile = LeadProfile(time_zone=zone, country=country, attributes=attributes)
    assessment = Assessment(0.7, AssessmentSource.CALLER, "", now)
    situation = Situation("d", "lead", now, Cause.REQUEST, profile, state, assessment, 100.0, ceilings)
    moment = moment_of(POLICY, zone, country, now)
    facts = dict(zip(REMEMBERING.names, REMEMBERING.values(situation, moment), strict=True))
    worked_out, remembered = tuple(cell(facts, None) for cell in PLAIN), REMEMBERING.cells(situation, moment)
    assert SEEN.setdefault(worked_out, remembered) == remembered
    assert STANDS_FOR.setdefault(remembered, worked_out) == worked_out


OWN_LIMITS = [limit for limit in POLICY.limits if not limit.tenant]
COUNTS = ContactCounts([Counted(limit.channel, limit.playbook, limit.window) for limit in OWN_LIMITS])
PLAYBOOKS = sorted({limit.playbook for limit in OWN_LIMITS} | {7})


@given(
    zone=st.sampled_from(["America/New_York", "Asia/Kolkata", "Mars/Olympus", ""]),
    ages=st.lists(st.sampled_from([0, DAY - 1, DAY, 7 * DAY - 1, 7 * DAY]) | st.integers(0, 40 * DAY), max_size=6),
    channels=st.lists(st.sampled_from(Channel), min_size=6, max_size=6),
    playbooks=st.lists(st.sampled_from(PLAYBOOKS), min_size=6, max_size=6),
)
@settings(max_examples=300)
def test_contacts_counted_at_once_are_those_that_each_limit_counts(
    zone: str, ages: list[int], channels: list[Channel], playbooks: list[int]
) -> None:
    found = zip(ages, channels, playbooks, strict=False)
    contacts = tuple(sorted(Contact(NOW - age, channel, playbook, 1) for age, channel, playbook in found))
    assessment = Assessment(0.7, AssessmentSource.CALLER, "", NOW)
    profile, state = LeadProfile(time_zone=zone), LeadState(contacts=contacts)
    situation = Situation("d", "lead", NOW, Cause.REQUEST, profile, state, assessment, 100.0)
    moment = moment_of(POLICY, zone, "", NOW)
    each = tuple(use_of(limit, 0, situation, moment).used for limit in OWN_LIMITS)
    assert COUNTS.counts(situation, moment) == (each if contacts else ())
