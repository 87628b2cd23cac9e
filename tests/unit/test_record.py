from typing import Any

import msgpack
from hypothesis import given
from hypothesis import strategies as st

from model.activity import Activity, DayCounts
from rules.decision import CeilingReading
from rules.lead import Consent, Contact, LeadProfile, LeadState, OpenEscalation
from rules.vocabulary import AssessmentSource, Cause, ConsentState, Stage
from server.road.job import DecideInput, LastAssessment, LeadRecord
from server.store.record import DecisionInputs, decode_inputs, decode_record, encode_inputs, encode_record

NOW = 1_772_366_400_000
STATE = LeadState(
    Stage.ACTIVE_RISK,
    NOW - 5,
    NOW - 4,
    (Contact(NOW - 90 * 86_400_000, 1, 0xFFFFFFFF, 0), Contact(NOW, 7, 1, 0xFFFFFFFF)),
    {2: Consent(ConsentState.WITHDRAWN, "call", NOW)},
    NOW,
    NOW - 3,
    OpenEscalation("e", 2, "director", NOW, NOW + 1),
    NOW + 9,
)
RECORD = LeadRecord(
    LeadProfile(time_zone="Europe/Berlin", value=1.5, attributes={"a": "b"}, contacts={"email": "x@example.org"}),
    bytes(range(16)),
    ("portal", "", "NY"),
    NOW - 1,
    STATE,
    LastAssessment(0.25, AssessmentSource.CALLER, "", NOW),
    Activity((DayCounts(20_000, 1, 2, 3, 4, 5, -600),), 19_000, 20_000, 19_990, -1, 20_000, 7),
    NOW - 2,
)


def test_a_record_comes_back_as_it_was_kept() -> None:
    assert decode_record(encode_record(RECORD)) == RECORD
    assert decode_record(encode_record(LeadRecord())) == LeadRecord()
    assert decode_record(b"") == LeadRecord()


def test_stages_and_states_come_back_as_what_they_are() -> None:
    record = decode_record(encode_record(RECORD))
    assert record.state.stage is Stage.ACTIVE_RISK
    assert record.state.consent[2].state is ConsentState.WITHDRAWN
    assert record.assessment is not None
    assert record.assessment.source is AssessmentSource.CALLER


def test_the_order_of_the_fields_is_the_one_that_stores_hold() -> None:
    profile, numeric, categories, as_of, state, last, activity, activity_at = msgpack.unpackb(
        encode_record(RECORD), strict_map_key=False
    )
    assert profile == ["Europe/Berlin", "", "", 1.5, "", "", "", "", {"a": "b"}, {"email": "x@example.org"}]
    assert (numeric, categories, as_of, activity_at) == (bytes(range(16)), ["portal", "", "NY"], NOW - 1, NOW - 2)
    assert state[:3] == [3, NOW - 5, NOW - 4]
    assert state[3].hex() == "00b2c8d99a01000001ffffffff00000000000a45a99c0100000701000000ffffffff"
    assert state[4:] == [[[2, [2, "call", NOW]]], NOW, NOW - 3, ["e", 2, "director", NOW, NOW + 1], NOW + 9]
    assert last == [0.25, 2, "", NOW]
    assert activity == [[[20_000, 1, 2, 3, 4, 5, -600]], 19_000, 20_000, 19_990, -1, 20_000, 7]


def test_what_an_older_record_lacks_takes_its_default() -> None:
    older: list[Any] = msgpack.unpackb(encode_record(RECORD), strict_map_key=False)
    older[0] = older[0][:1]
    older[4] = older[4][:-1]
    older[6] = older[6][:-1]
    record = decode_record(msgpack.packb(older))
    assert record.profile == LeadProfile(time_zone="Europe/Berlin")
    assert record.state == STATE._replace(next_review_at=None)
    assert record.activity == RECORD.activity._replace(active_days=0)


@given(
    probability=st.none() | st.floats(0, 1),
    numbers=st.binary(max_size=24),
    cause=st.sampled_from(Cause),
    used=st.integers(0, 2**40),
)
def test_the_inputs_of_a_decision_come_back_as_they_were_kept(
    probability: float | None, numbers: bytes, cause: Cause, used: int
) -> None:
    request = DecideInput("lead", "id", b"", numbers, ("portal",), NOW, probability, {"value": 2.0}, True, cause)
    ceilings = {"calls": CeilingReading(used, 400, None), "escalation_share": CeilingReading(0, 1, NOW)}
    inputs = DecisionInputs(request, encode_record(RECORD), NOW, ceilings, "fault")
    assert decode_inputs(encode_inputs(inputs), "lead", "id") == inputs
