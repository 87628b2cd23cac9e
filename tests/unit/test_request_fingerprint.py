"""By what a retry is told from another request under the same id."""

from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from keepwell.v1.decision_pb2 import Features
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.lead_pb2 import LeadProfile

from model import features
from server.convert import request as convert
from server.convert.request import input_of


def request(**other: Any) -> DecideRequest:
    fields: dict[str, Any] = {
        "request_id": "one",
        "lead_id": "anna",
        "features": Features(numbers={"active_days_7": 3, "active_days_30": 9}, categories={"source": "web"}),
        "profile": LeadProfile(country="DE", attributes={"a": "1", "b": "2"}),
    }
    return DecideRequest(**{**fields, **other})


def fingerprint(asked: DecideRequest) -> bytes:
    return input_of("default", DecideRequest.FromString(asked.SerializeToString())).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"lead_id": "anne"},
        {"churn_probability": 0.0},
        {"explain": True},
        {"profile": LeadProfile(country="DE", attributes={"a": "1", "b": "3"})},
        {"profile": LeadProfile(country="DE", attributes={"a": "1", "b": "2"}, contacts={"email": "a@example.org"})},
        {"profile": None},
        {"features": Features(numbers={"active_days_7": 3, "active_days_30": 8}, categories={"source": "web"})},
        {
            "features": Features(
                numbers={"active_days_7": 3, "active_days_30": 9, "tenure_days": 0}, categories={"source": "web"}
            )
        },
        {"features": Features(numbers={"active_days_7": 3, "active_days_30": 9}, categories={"region": "web"})},
        {
            "features": Features(
                numbers={"active_days_7": 3, "active_days_30": 9},
                categories={"source": "web"},
                as_of=Timestamp(seconds=1),
            )
        },
    ],
)
def test_another_body_has_another_fingerprint(other: dict[str, Any]) -> None:
    assert fingerprint(request(**other)) != fingerprint(request())


def test_the_order_in_which_a_client_writes_a_map_does_not_count() -> None:
    turned = request(
        features=Features(numbers={"active_days_30": 9, "active_days_7": 3}, categories={"source": "web"}),
        profile=LeadProfile(country="DE", attributes={"b": "2", "a": "1"}),
    )
    assert fingerprint(turned) == fingerprint(request())


def test_a_feature_that_the_schema_gets_at_its_end_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(request())
    monkeypatch.setattr(features, "UNKNOWN_NUMBERS", features.UNKNOWN_NUMBERS + features.UNKNOWN_NUMBERS[:8])
    monkeypatch.setattr(convert, "UNKNOWN_CATEGORIES", (*features.UNKNOWN_CATEGORIES, ""))
    assert fingerprint(request()) == before
