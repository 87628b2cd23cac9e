"""The requests of a stream, read at once: each as if it were alone."""

from struct import pack
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from keepwell.v1.decision_pb2 import Features
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideStreamRequest
from keepwell.v1.lead_pb2 import LeadProfile

from model.features import NUMERIC
from server.convert.columns import told_by
from server.convert.pieces import embedded
from server.convert.portfolio import MOST_REQUESTS, read_portfolio
from server.convert.request import input_of
from server.convert.sealed import STREAM_REQUEST
from server.errors import InvalidFieldsError, MalformedRequestError
from server.road.job import DecideInput

NAMES = [feature.name for feature in NUMERIC]
MANY = 20


def lead(number: int, names: list[str], **other: Any) -> DecideRequest:
    numbers = dict.fromkeys(names, number / 100)
    features = Features(numbers=numbers, categories={"source": f"web{number % 3}"})
    return DecideRequest(request_id=f"r{number}", lead_id=f"lead{number}", features=features, **other)


def sealed(requests: list[DecideRequest]) -> list[bytes]:
    sent: Any = STREAM_REQUEST.FromString(DecideStreamRequest(requests=requests).SerializeToString())
    return list(sent.requests)


def read(requests: list[bytes]) -> list[Any]:
    """Return what `alone` does of each."""
    found = [asked for _, asked in read_portfolio("t", requests)]
    return [fault(each) if isinstance(each, InvalidFieldsError) else each for each in found]


def fault(error: InvalidFieldsError) -> str:
    return repr(error.violations)


def at_once(requests: list[DecideRequest]) -> list[Any]:
    return read(sealed(requests))


def alone(request: DecideRequest) -> Any:
    try:
        return input_of("t", request, request_id_required=True)
    except InvalidFieldsError as error:
        return fault(error)


def same(requests: list[DecideRequest]) -> bool:
    return at_once(requests) == [alone(request) for request in requests]


def test_leads_alike_are_read_as_if_each_were_alone() -> None:
    requests = [lead(number, NAMES[:8]) for number in range(MANY)]
    assert None not in told_by([request.features.SerializeToString() for request in requests])
    assert same(requests)


def test_leads_of_several_kinds_are_read_as_if_each_were_alone() -> None:
    kinds: tuple[list[str], ...] = (NAMES[:8], NAMES[:3], NAMES[4:], [], NAMES[:1])
    assert same([lead(number, kinds[number % len(kinds)]) for number in range(5 * MANY)])


@pytest.mark.parametrize(
    "bad", [{"active_days_7": 8.0}, {"active_days_7": -1.0}, {"tenure_days": float("nan")}, {"shoe_size": 1.0}]
)
def test_a_fault_is_told_of_its_own_lead_alone(bad: dict[str, float]) -> None:
    requests = [lead(number, ["tenure_days", "active_days_7"]) for number in range(MANY)]
    requests[7].features.numbers.update(bad)
    requests[9].features.categories["shoe"] = "left"
    requests[11].request_id = ""
    assert same(requests)
    assert [place for place, each in enumerate(at_once(requests)) if isinstance(each, str)] == [7, 9, 11]


def test_a_name_of_the_same_length_is_another_name() -> None:
    others = ["active_days_90", "shoe_size_is_9"]
    names = ["active_days_30"] * 12 + others
    bare = [DecideRequest(request_id=f"r{place}", lead_id="lead").SerializeToString() for place in range(len(names))]
    # One behind the other in this order, which no map promises.
    features = [
        b"".join(Features(numbers={each: 1.0}).SerializeToString() for each in (name, "tenure_days")) for name in names
    ]
    requests = [request + embedded(3, each) for request, each in zip(bare, features, strict=True)]
    assert len({each[-20:] for each in features}) == 1
    assert read(requests) == [alone(DecideRequest.FromString(request)) for request in requests]


PARTS = st.sampled_from(
    [
        *(
            Features(numbers={name: number}).SerializeToString()
            for name in NAMES[3:7]
            for number in (-1.0, 0.0, 1.0, 8.0)
        ),
        Features(numbers={"shoe_size": 1.0}).SerializeToString(),
        Features(categories={"source": "web"}).SerializeToString(),
        Features(categories={"shoe": "left"}).SerializeToString(),
        Features(as_of=Timestamp(seconds=1)).SerializeToString(),
        b"\x0a\x0d\x0a\x0btenure_days",  # an entry without its number, which is 0
        b"\x0a\x09\x11" + pack("<d", 1.0),  # and one without its name, which is ""
        b"\x78\x01",  # a field that nobody knows
    ]
)


@given(st.lists(st.lists(PARTS, max_size=4).map(b"".join), min_size=1, max_size=4), st.data())
def test_whatever_a_message_holds_is_read_as_if_each_lead_were_alone(kinds: list[bytes], data: st.DataObject) -> None:
    drawn = [data.draw(st.sampled_from(kinds)) for _ in range(MANY)]
    bare = DecideRequest(request_id="r", lead_id="lead").SerializeToString()
    requests = [bare + embedded(3, features) for features in drawn]
    assert read(requests) == [alone(DecideRequest.FromString(request)) for request in requests]


FIELDS = st.sampled_from(
    [
        DecideRequest(request_id="r1").SerializeToString(),
        DecideRequest(request_id="r" * 128).SerializeToString(),
        DecideRequest(lead_id="lead").SerializeToString(),
        DecideRequest(lead_id="no lead").SerializeToString(),
        DecideRequest(lead_id="lé").SerializeToString(),
        DecideRequest(features=Features(numbers={"tenure_days": 4.0})).SerializeToString(),
        DecideRequest(features=Features(categories={"source": "w" * 64, "segment": "s" * 64})).SerializeToString(),
        DecideRequest(features=Features()).SerializeToString(),
        DecideRequest(churn_probability=0.5).SerializeToString(),
        DecideRequest(churn_probability=1.5).SerializeToString(),
        DecideRequest(profile=LeadProfile(time_zone="Europe/Paris")).SerializeToString(),
        DecideRequest(explain=True).SerializeToString(),
        b"\x0a\x00",  # an empty id, which another one before it does not replace
        b"\x12\x84\x00lead",  # a length in more bytes than it needs
        b"\x78\x01",  # a field that nobody knows
        b"\x12\x01\xff",  # no text
        b"\x0a\x7f",  # less than it says
        b"\x1a\x80",
        b"\x1a\xff\xff\x03",
        b"",
    ]
)


@given(st.lists(FIELDS, max_size=5).map(b"".join))
def test_fields_in_any_order_are_read_as_protobuf_reads_them(request: bytes) -> None:
    try:
        message = DecideRequest.FromString(request)
    except DecodeError:
        with pytest.raises(MalformedRequestError):
            read([request])
        return
    ((request_id, _),) = read_portfolio("t", [request])
    assert (request_id, read([request])) == (message.request_id, [alone(message)])


def test_what_is_said_besides_features_is_read_with_them() -> None:
    profile = LeadProfile(time_zone="Europe/Paris", attributes={"tier": "gold"})
    requests = [lead(number, NAMES[:4]) for number in range(MANY)]
    requests[2].explain = True
    requests[3].churn_probability = 0.25
    requests[4].profile.CopyFrom(profile)
    requests[5] = DecideRequest(request_id="r5", lead_id="lead5")
    assert same(requests)


def test_requests_beyond_the_most_that_a_message_may_hold_are_refused_by_their_ids() -> None:
    requests = [lead(number, NAMES[:4]) for number in range(MOST_REQUESTS + 2)]
    found = read_portfolio("t", sealed(requests))
    assert [request_id for request_id, _ in found] == [request.request_id for request in requests]
    assert [isinstance(asked, DecideInput) for _, asked in found] == [True] * MOST_REQUESTS + [False] * 2
    (violation,) = found[-1][1].violations  # type: ignore[union-attr]
    assert violation == ("requests", "must be at most 1024 a message")


def test_features_in_two_parts_are_one() -> None:
    requests = [lead(number, NAMES[:4]) for number in range(MANY)]
    more = Features(numbers={NAMES[0]: 5.0, NAMES[6]: 1.0})
    sent = sealed(requests)
    sent[3] += embedded(3, more.SerializeToString())
    requests[3].features.MergeFrom(more)
    assert read(sent) == [alone(request) for request in requests]


@pytest.mark.parametrize(
    "damaged", [b"\x0a\x05\x0a\x01\xff", b"\x0a", b"\x12\x05\x0a\x01\xff", b"\x0a\x1b\x0a\x0dactive"]
)
def test_features_that_are_no_message_are_refused_with_all_others(damaged: bytes) -> None:
    requests = sealed([lead(number, NAMES[:4]) for number in range(MANY)])
    requests[5] += embedded(3, damaged)
    with pytest.raises(MalformedRequestError):
        read(requests)
