from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rules.compiler import compile_policy
from rules.decide import Decider
from rules.decision import Assessment, Decision, Situation
from rules.document import PolicyDocument
from rules.lead import LeadProfile, LeadState
from rules.source import read_policy
from rules.vocabulary import AssessmentSource, Cause, ReasonCode, Verdict
from rules.zones import period

HOUR = 3_600_000
DAY = 24 * HOUR
START = 1_772_366_400_000  # 2026-03-01T12:00:00Z

POLICY = """
schema: keepwell.policy/v1
name: limits
interventions:
  early_warning:
    - {channel: email, playbook: a}
    - {channel: push, playbook: b}
    - {channel: in_app, playbook: a}
max_interventions: {early_warning: 3}
limits:
  - {name: email_rolling, channel: email, max: 2, window: {rolling: 24h}, when_blocked: defer}
  - {name: any_day, channel: any, max: 4, window: {calendar: day, time_zone: lead}, when_blocked: defer}
  - {name: any_week, channel: any, max: 9, window: {calendar: week, time_zone: America/New_York}, when_blocked: defer}
  - {name: playbook, per: playbook, max: 5, window: {rolling: 3d}, when_blocked: defer}
quiet_hours:
  - {channels: [push], local: "21:00-08:00", when_blocked: defer}
"""


def document() -> PolicyDocument:
    return read_policy(
        POLICY.replace(
            "interventions:\n",
            "interventions:\n  active_risk: [{channel: email, playbook: a}]\n"
            "  critical_risk: [{channel: email, playbook: a}]\n",
            1,
        )
    )


@pytest.fixture(scope="module")
def decider() -> Iterator[Decider]:
    made = Decider(compile_policy(document(), "v"), sample_every=1)
    yield made
    assert (made.faults, made.disagreements) == (0, 0)
    made.close()


def situation(state: LeadState, now: int, zone: str = "Europe/Berlin", name: str = "d") -> Situation:
    assessment = Assessment(0.5, AssessmentSource.CALLER, "", now)
    return Situation(name, "lead", now, Cause.REQUEST, LeadProfile(time_zone=zone), state, assessment, 100.0)


def play(decider: Decider, gaps: list[int], zone: str) -> list[tuple[int, str, str]]:
    """Return every contact that a series of decisions grants: instant, channel, playbook."""
    state, now, granted = LeadState(), START, []
    for number, gap in enumerate(gaps):
        now += gap
        ruling = decider.decide(situation(state, now, zone, f"d{number}"))
        state = ruling.next_state
        granted += [(now, action.channel.name, action.playbook) for action in ruling.decision.interventions]
    return granted


gaps = st.lists(st.one_of(st.integers(0, 10 * HOUR), st.sampled_from([DAY, DAY - 1, DAY + 1, 3 * DAY])), max_size=60)
zones = st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"])


@settings(max_examples=60, deadline=None)
@given(gaps=gaps, zone=zones)
def test_no_window_of_any_limit_ever_holds_more_than_it_allows(decider: Decider, gaps: list[int], zone: str) -> None:
    granted = play(decider, gaps, zone)
    for end, _, _ in granted:
        emails = [at for at, channel, _ in granted if channel == "EMAIL" and end - DAY < at <= end]
        assert len(emails) <= 2
        for playbook in ("a", "b"):
            assert sum(1 for at, _, name in granted if name == playbook and end - 3 * DAY < at <= end) <= 5
    for kind, where, most in (("day", zone, 4), ("week", "America/New_York", 9)):
        periods = [period(where, kind, at)[0] for at, _, _ in granted]
        assert all(periods.count(start) <= most for start in periods)


@settings(max_examples=60, deadline=None)
@given(gaps=gaps, zone=zones)
def test_a_blocked_contact_is_granted_at_its_time_and_not_a_millisecond_before(
    decider: Decider, gaps: list[int], zone: str
) -> None:
    state, now = LeadState(), START
    for gap in gaps:
        now += gap
        ruling = decider.decide(situation(state, now, zone))
        if ruling.decision.verdict is Verdict.DEFER:
            eligible = min(s.next_eligible_at for s in ruling.decision.suppressions if s.next_eligible_at)
            assert eligible > now
            assert not granted_at(decider, ruling.next_state, eligible - 1, zone)
            assert granted_at(decider, ruling.next_state, eligible, zone)
        state = ruling.next_state


def granted_at(decider: Decider, state: LeadState, now: int, zone: str) -> bool:
    return bool(decider.decide(situation(state, now, zone)).decision.interventions)


@given(probability=st.floats(0, 1), bucket=st.floats(0, 99.99), now=st.integers(START, START + 400 * DAY))
@settings(max_examples=100, deadline=None)
def test_the_same_situation_gives_the_same_ruling(
    decider: Decider, probability: float, bucket: float, now: int
) -> None:
    facts = situation(LeadState(), now)
    assessment = replace(facts.assessment, churn_probability=probability)
    facts = replace(facts, holdout_bucket=bucket, assessment=assessment)
    assert decider.decide(facts) == decider.decide(facts)


def test_all_reasons_are_listed_and_carry_one_time(decider: Decider) -> None:
    state = LeadState()
    for step in range(2):
        state = decider.decide(situation(state, START + step * HOUR)).next_state
    blocked = decider.decide(situation(state, START + 2 * HOUR)).decision
    email = [s for s in blocked.suppressions if s.channel is not None and s.channel.name == "EMAIL"]
    assert [s.reason for s in email] == [ReasonCode.LIMIT_CHANNEL, ReasonCode.LIMIT_ANY_CHANNEL]
    assert {s.next_eligible_at for s in email} == {START + DAY}


def test_time_never_runs_backwards_for_a_lead(decider: Decider) -> None:
    first = decider.decide(situation(LeadState(), START))
    earlier: Decision = decider.decide(situation(first.next_state, START - DAY)).decision
    assert earlier.decided_at == START


def test_an_unknown_zone_counts_in_a_window_that_contains_every_zones_day(decider: Decider) -> None:
    state = decider.decide(situation(LeadState(), START, "")).next_state
    state = decider.decide(situation(state, START + 1, "")).next_state
    before = decider.decide(situation(state, START + 25 * HOUR - 1, "")).decision
    after = decider.decide(situation(state, START + 25 * HOUR + 1, "")).decision
    assert not before.interventions
    assert after.interventions
