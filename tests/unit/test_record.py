import math
from array import array
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import astuple, replace

from model.activity import Activity, DayCounts
from model.features import NUMERIC, numbers_row
from model.survival.estimate import Estimate, NoEstimateReason, PackedEstimate, TimeToChurn, unpacked
from rules.decision import CeilingReading
from rules.lead import Consent, Contact, LeadProfile, LeadState, RaisedEscalation
from rules.vocabulary import AssessmentSource, Cause, ConsentState, Stage, Verdict
from server.road.job import DecideInput, LastAssessment, LeadRecord
from server.store.record import decode_inputs, decode_record, encode_inputs, encode_record
from server.store.record_layout import DecisionInputs

NOW = 1_772_366_400_000
STATE = LeadState(
    Stage.ACTIVE_RISK,
    NOW - 5,
    NOW - 4,
    (Contact(NOW - 90 * 86_400_000, 1, 0xFFFFFFFF, 0), Contact(NOW, 7, 1, 0xFFFFFFFF)),
    {2: Consent(ConsentState.WITHDRAWN, "call", NOW)},
    NOW,
    NOW - 3,
    RaisedEscalation(
        "e", 2, "director", NOW, NOW + 1, Stage.ACTIVE_RISK, 60_000, reason="r", recommendations=("a", "b")
    ),
    NOW + 9,
    Verdict.SUPPRESS,
)
DAYS = (
    DayCounts(19_911, 15, 0, 0, 255, 5, 100),
    DayCounts(19_912, 0, 0, 0, 0, 5),
    DayCounts(20_000, 1, 256, 0, 4, 5, -600, 2),
)
NUMBERS = numbers_row({"days_since_last_activity": 0.0, "active_days_7": 3.0})[0]
TIME = bytes.fromhex("7d00 0000 ffff cb01 1a04 7509")
RECORD = LeadRecord(
    LeadProfile(time_zone="Europe/Berlin", value=1.5, attributes={"a": "b"}, contacts={"email": "x@example.org"}),
    NUMBERS,
    ("portal", "", "NY"),
    NOW - 1,
    STATE,
    LastAssessment(0.25, AssessmentSource.MODEL, bytes(range(16)).hex(), NOW, stands=True, time_to_churn=TIME),
    Activity(DAYS, 19_000, 20_000, 19_990, -1, 20_000, 7, 19_999, -1),
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
    assert record.assessment.source is AssessmentSource.MODEL


def test_the_order_of_the_fields_is_the_one_that_stores_hold() -> None:
    profile, numeric, categories, as_of, state, last, activity, activity_at = msgpack.unpackb(
        encode_record(RECORD), strict_map_key=False
    )
    assert profile == ["Europe/Berlin", "", "", 1.5, "", "", "", "", {"a": "b"}, {"email": "x@example.org"}]
    assert (numeric, categories, as_of, activity_at) == (
        [0, None, None, None, 3],
        ["portal", "", "NY"],
        NOW - 1,
        NOW - 2,
    )
    assert state[:3] == [3, NOW - 5, NOW - 4]
    assert state[3].hex() == "00b2c8d99a01000001ffffffff00000000000a45a99c0100000701000000ffffffff"
    escalation = ["e", 2, "director", NOW, NOW + 1, 3, 60_000, "", 1, "r", ["a", "b"], "", None, "", None, 0]
    assert state[4:] == [[[2, [2, "call", NOW]]], NOW, NOW - 3, escalation, NOW + 9, 3, None]
    assert last == [0.25, 1, bytes(range(16)), 0, True, TIME]
    days, *rest = activity
    assert days[:3] == [20_000, b"\x59\x58\x00", b"\x0f\x00\x01"]
    assert days[3:] == [[b"\x02", [256]], b"", b"\xff\x00\x04", b"\x05\x05\x05", [100, 0, -600], [b"\x02", b"\x02"]]
    assert rest == [19_000, 20_000, 19_990, -1, 20_000, 7, 19_999, -1]


@pytest.mark.parametrize(
    ("kept", "estimate"),
    [
        (TIME, (TimeToChurn(12.5, 0.0, None, 0.0459, 0.105, 0.2421), None)),
        (
            bytes.fromhex("ffff 0000 ffff cb01 1a04 7509"),
            (TimeToChurn(None, 0.0, None, 0.0459, 0.105, 0.2421), NoEstimateReason.BEYOND_HORIZON),
        ),
        (1, (None, NoEstimateReason.PROBABILITY_GIVEN)),
        (0, (None, None)),
    ],
)
def test_an_estimate_and_its_reason_come_back(kept: PackedEstimate, estimate: Estimate) -> None:
    last = LastAssessment(0.5, AssessmentSource.MODEL, "m", NOW, stands=True, time_to_churn=kept)
    assert decode_record(encode_record(replace(RECORD, assessment=last))).assessment == last
    assert unpacked(kept) == estimate


def test_what_an_older_record_lacks_takes_its_default() -> None:
    older: list[Any] = msgpack.unpackb(encode_record(RECORD), strict_map_key=False)
    older[0] = older[0][:1]
    older[1] = NUMBERS[:8]
    older[2] = older[2][:1]
    older[4] = older[4][:-3]
    older[4][7] = older[4][7][:5]
    older[5] = older[5][:-1]
    older[6][0] = older[6][0][:-1]
    older[6] = older[6][:-3]
    record = decode_record(msgpack.packb(older))
    assert record.profile == LeadProfile(time_zone="Europe/Berlin")
    assert record.numeric == numbers_row({"days_since_last_activity": 0.0})[0]
    assert record.categories == ("portal", "", "")
    raised = RaisedEscalation("e", 2, "director", NOW, NOW + 1, Stage.CRITICAL_RISK, 3_600_000)
    assert record.state == replace(STATE, next_review_at=None, verdict=0, escalation=raised)
    days = tuple(counts._replace(purchases=0) for counts in DAYS)
    assert record.activity == RECORD.activity._replace(days=days, active_days=0, click_day=-1)


def test_an_assessment_of_another_kind_or_time_comes_back_too() -> None:
    last = LastAssessment(0.5, AssessmentSource.FALLBACK, "fallback-1", NOW - 7)
    assert decode_record(encode_record(replace(RECORD, assessment=last))).assessment == last


@given(st.lists(st.none() | st.floats(-1e12, 1e12) | st.integers(-(10**12), 10**12), max_size=len(NUMERIC)))
def test_numbers_come_back_whatever_is_known_of_them(known: list[float | None]) -> None:
    numbers = array("d", [math.nan if number is None else number + 0.0 for number in known]).tobytes()
    assert decode_record(encode_record(replace(RECORD, numeric=numbers))).numeric == numbers


def test_whole_numbers_take_as_little_as_they_need() -> None:
    def taken(number: float) -> int:
        return len(encode_record(LeadRecord(numeric=array("d", [0.0, number]).tobytes())))

    least = taken(0.0)
    sizes = [taken(number) - least for number in (-32.0, 127.0, -33.0, 255.0, 4_095.0, 4_096.0, 0.5, math.nan)]
    assert sizes == [0, 0, 1, 1, 2, 8, 8, 0]


@given(
    probability=st.none() | st.floats(0, 1),
    numbers=st.sampled_from([b"", NUMBERS]),
    cause=st.sampled_from(Cause),
    used=st.integers(0, 2**40),
)
def test_the_inputs_of_a_decision_come_back_as_they_were_kept(
    probability: float | None, numbers: bytes, cause: Cause, used: int
) -> None:
    portal = ("portal", "", "")
    request = DecideInput("lead", "id", b"", numbers, portal, NOW, probability, {"value": 2.0}, True, cause)
    ceilings = {"calls": CeilingReading(used, 400, None), "escalation_share": CeilingReading(0, 1, NOW)}
    inputs = DecisionInputs(request, encode_record(RECORD), NOW, ceilings, "fault", used > 1, "Asia/Tokyo")
    kept = encode_inputs(*astuple(inputs))
    assert decode_inputs(kept, "lead", "id") == inputs
    older = msgpack.unpackb(kept, strict_map_key=False)
    older[0][1] = older[0][1][:1]
    assert decode_inputs(msgpack.packb(older[:-1]), "lead", "id") == replace(inputs, tenant_zone="")
