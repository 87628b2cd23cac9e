"""What leads of one zone and one instant share is worked out once, and none of it is another lead's."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.compiler import compile_policy
from rules.decide import Decider
from rules.decision import Assessment, CeilingReading, Situation
from rules.lead import Consent, Contact, LeadProfile, LeadState, playbook_code
from rules.moment import moment_of
from rules.source import read_policy
from rules.vocabulary import AssessmentSource, Cause, Channel, ConsentState, Stage
from server.policies import SHIPPED

HOUR = 3_600_000
DAY = 24 * HOUR
NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z
POLICY = compile_policy(read_policy(SHIPPED.read_text()), "v")
AGREED = Consent(ConsentState.GRANTED, "call", 1)
SHIPPED_PLAYBOOKS = ["personalised_content", "agent_outreach", "retention_offer", "other"]


@pytest.fixture(scope="module")
def busy() -> Iterator[Decider]:
    """A decider that has many other leads behind it."""
    made = Decider(POLICY)
    yield made
    assert (made.faults, made.disagreements) == (0, 0)
    made.close()


contacts = st.lists(
    st.builds(
        Contact,
        st.integers(NOON - 15 * DAY, NOON),
        st.sampled_from(list(Channel)),
        st.sampled_from(SHIPPED_PLAYBOOKS).map(playbook_code),
        st.integers(1, 9),
    ),
    max_size=4,
)
states = st.builds(
    LeadState,
    stage=st.sampled_from(Stage),
    below_stage_since=st.none() | st.integers(NOON - 2 * DAY, NOON),
    contacts=contacts.map(sorted).map(tuple),
    consent=st.dictionaries(st.sampled_from([Channel.SMS, Channel.PHONE]), st.just(AGREED)),
    last_decided_at=st.sampled_from([0, NOON - HOUR, NOON + HOUR]),
    last_escalated_at=st.none() | st.integers(NOON - 2 * DAY, NOON),
)


@given(
    zone=st.sampled_from(["America/New_York", "America/Los_Angeles", "Asia/Kolkata", "Mars/Olympus", ""]),
    country=st.sampled_from(["US", "DE", ""]),
    now=st.sampled_from([NOON, NOON + 9 * HOUR, NOON + 9 * HOUR + 1]),
    probability=st.sampled_from([0.2, 0.5, 0.7, 0.9]),
    state=states,
    held_out=st.booleans(),
    calls_left=st.sampled_from([0, 1, 2, 9]),
)
@settings(max_examples=300, deadline=None)
def test_a_lead_among_others_is_decided_as_if_it_were_alone(
    busy: Decider,
    zone: str,
    country: str,
    now: int,
    probability: float,
    state: LeadState,
    held_out: bool,
    calls_left: int,
) -> None:
    ceilings = {
        "agent_calls": CeilingReading(400 - calls_left, 400, NOON + DAY),
        "escalation_share": CeilingReading(0, 1, None),
    }
    assessment = Assessment(probability, AssessmentSource.CALLER, "", now)
    profile, bucket = LeadProfile(time_zone=zone, country=country, value=5.0), 0.0 if held_out else 100.0
    lead = Situation("d", "lead", now, Cause.REQUEST, profile, state, assessment, bucket, ceilings)
    alone = Decider(POLICY)
    try:
        assert busy.decide(lead) == alone.decide(lead)
    finally:
        alone.close()


def test_an_unknown_zone_has_no_hours_and_windows_that_hold_every_zones() -> None:
    known, unknown = moment_of(POLICY, "Asia/Kolkata", "IN", NOON), moment_of(POLICY, "Mars/Olympus", "IN", NOON)
    day = next(limit for limit in POLICY.limits if limit.name == "any_daily")
    assert (known.zones, unknown.zones) == (("Asia/Kolkata",), ())
    assert unknown.stretch(day).start <= known.stretch(day).start
