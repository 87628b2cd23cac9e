"""The requests of a stream, read at once: each as if it were alone."""

from struct import pack
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from keepwell.v1.decision_pb2 import Features
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideStreamRequest

from model.features import NUMERIC
from server.convert.portfolio import read_portfolio, told_by
from server.convert.request import input_of
from server.convert.sealed import STREAM_REQUEST
from server.errors import InvalidFieldsError, MalformedRequestError

NAMES = [feature.name for feature in NUMERIC]
MANY = 20


def lead(number: int, names: list[str], **other: Any) -> DecideRequest:
    numbers = dict.fromkeys(names, number / 100)
    features = Features(numbers=numbers, categories={"source": f"web{number % 3}"})
    return DecideRequest(request_id=f"r{number}", lead_id=f"lead{number}", features=features, **other)


def at_once(requests: list[DecideRequest]) -> list[Any]:
    sent: Any = STREAM_REQUEST.FromString(DecideStreamRequest(requests=requests).SerializeToString())
    return read_portfolio("t", sent.requests)


def alone(request: DecideRequest) -> Any:
    try:
        return input_of("t", request, request_id_required=True)
    except InvalidFieldsError as error:
        return str(error)


def same(requests: list[DecideRequest]) -> bool:
    read = [str(each) if isinstance(each, Exception) else each for each in at_once(requests)]
    return read == [alone(request) for request in requests]


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
    assert [place for place, each in enumerate(at_once(requests)) if isinstance(each, Exception)] == [7, 9, 11]


def test_a_name_of_the_same_length_is_another_name() -> None:
    others = ["active_days_90", "shoe_size_is_9"]
    names = ["active_days_30"] * 12 + others
    requests = [DecideRequest(request_id=f"r{place}", lead_id="lead") for place in range(len(names))]
    sent: Any = STREAM_REQUEST.FromString(DecideStreamRequest(requests=requests).SerializeToString())
    for name, request, sealed in zip(names, requests, sent.requests, strict=True):
        # One behind the other in this order, which no map promises.
        parts = [Features(numbers={each: 1.0}).SerializeToString() for each in (name, "tenure_days")]
        sealed.features.append(b"".join(parts))
        request.features.MergeFromString(b"".join(parts))
    read = [str(each) if isinstance(each, Exception) else each for each in read_portfolio("t", sent.requests)]
    assert len({sealed.features[0][-20:] for sealed in sent.requests}) == 1
    assert read == [alone(request) for request in requests]


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
    requests = [DecideRequest(request_id="r", lead_id="lead", features=Features.FromString(each)) for each in drawn]
    sent: Any = STREAM_REQUEST.FromString(DecideStreamRequest(requests=requests).SerializeToString())
    for sealed, features in zip(sent.requests, drawn, strict=True):
        sealed.features[:] = [features]
    read = [str(each) if isinstance(each, Exception) else each for each in read_portfolio("t", sent.requests)]
    assert read == [alone(request) for request in requests]


def test_features_in_two_parts_are_one() -> None:
    requests = [lead(number, NAMES[:4]) for number in range(MANY)]
    sent: Any = STREAM_REQUEST.FromString(DecideStreamRequest(requests=requests).SerializeToString())
    more = Features(numbers={NAMES[0]: 5.0, NAMES[6]: 1.0})
    sent.requests[3].features.append(more.SerializeToString())
    requests[3].features.MergeFrom(more)
    assert read_portfolio("t", sent.requests) == [alone(request) for request in requests]


@pytest.mark.parametrize(
    "damaged", [b"\x0a\x05\x0a\x01\xff", b"\x0a", b"\x12\x05\x0a\x01\xff", b"\x0a\x1b\x0a\x0dactive"]
)
def test_features_that_are_no_message_are_refused_with_all_others(damaged: bytes) -> None:
    requests = [lead(number, NAMES[:4]) for number in range(MANY)]
    sent: Any = STREAM_REQUEST.FromString(DecideStreamRequest(requests=requests).SerializeToString())
    sent.requests[5].features.append(damaged)
    with pytest.raises(MalformedRequestError):
        read_portfolio("t", sent.requests)
