"""The requests of a stream, read at once: each as if it were alone."""

from typing import Any

import pytest
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


@pytest.mark.parametrize("bad", [{"active_days_7": 8.0}, {"tenure_days": float("nan")}, {"shoe_size": 1.0}])
def test_a_fault_is_told_of_its_own_lead_alone(bad: dict[str, float]) -> None:
    requests = [lead(number, ["tenure_days", "active_days_7"]) for number in range(MANY)]
    requests[7].features.numbers.update(bad)
    requests[9].features.categories["shoe"] = "left"
    requests[11].request_id = ""
    assert same(requests)
    assert [place for place, each in enumerate(at_once(requests)) if isinstance(each, Exception)] == [7, 9, 11]


def test_a_name_of_the_same_length_is_another_name() -> None:
    names = [*["active_days_30"] * 12, *["page_views_30"], *["active_days_90"] * 3]
    assert same([lead(number, [name, "tenure_days"]) for number, name in enumerate(names)])


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
