"""Times that callers give: those that no calendar has, those a little ahead, and the one that an unfilled field looks like."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2 as decisions
from keepwell.v1 import decision_service_pb2_grpc, feed_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as feeds
from keepwell.v1 import lead_service_pb2 as leads

from tests.integration.test_decision_service import asking, call, refusal

Metadata = tuple[tuple[str, str], ...]
NOON = datetime(2026, 3, 3, 17, tzinfo=UTC)
FIRST, LAST = Timestamp(seconds=-62_135_596_800), Timestamp(seconds=253_402_300_799, nanos=999_999_999)
NO_TIMES = [
    Timestamp(seconds=FIRST.seconds - 1),
    Timestamp(seconds=LAST.seconds + 1),
    Timestamp(seconds=-(2**63)),
    Timestamp(seconds=2**63 - 1),
    Timestamp(nanos=-1),
    Timestamp(nanos=1_000_000_000),
]


def stamp(at: datetime) -> Timestamp:
    made = Timestamp()
    made.FromDatetime(at)
    return made


def consent(state: lead_pb2.ConsentState.ValueType, occurred: Timestamp | None = None) -> leads.SetConsentRequest:
    return leads.SetConsentRequest(
        lead_id="lead", channel=pb.INTERVENTION_CHANNEL_EMAIL, state=state, source="form", occur_time=occurred
    )


def decide(channel: grpc.Channel, at: Timestamp, metadata: Metadata) -> None:
    request = asking(features=pb.Features(numbers={"tenure_days": 1}, as_of=at))
    decision_service_pb2_grpc.DecisionServiceStub(channel).Decide(request, metadata=metadata)


def say(channel: grpc.Channel, at: Timestamp, metadata: Metadata) -> None:
    request = consent(lead_pb2.CONSENT_STATE_GRANTED, at)
    lead_service_pb2_grpc.LeadServiceStub(channel).SetConsent(request, metadata=metadata)


def record(channel: grpc.Channel, at: Timestamp, metadata: Metadata) -> None:
    event = lead_pb2.LeadEvent(event_id="e", lead_id="lead", type="site_visit", occur_time=at)
    lead_service_pb2_grpc.LeadServiceStub(channel).RecordEvents(
        leads.RecordEventsRequest(events=[event]), metadata=metadata
    )


def watch(channel: grpc.Channel, at: Timestamp, metadata: Metadata) -> None:
    request = feeds.WatchDecisionsRequest(start=feeds.FeedStart(at_time=at))
    next(feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(request, metadata=metadata, timeout=20))


@pytest.mark.parametrize("at", NO_TIMES, ids=str)
@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (decide, "features.as_of"),
        (say, "occur_time"),
        (record, "events[0].occur_time"),
        (watch, "start.at_time"),
    ],
)
def test_a_time_that_no_calendar_has_is_refused_by_its_field(
    channel: grpc.Channel, tenant: str, ask: Callable[..., None], path: str, at: Timestamp
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ask(channel, at, call(tenant))
    status, reason, paths = refusal(refused.value)
    assert (status, reason, paths) == ("INVALID_ARGUMENT", "INVALID_FIELD", [path])
    assert "must be a time in the years 1 to 9999" in str(refused.value.details())


@pytest.mark.parametrize("ask", [decide, say])
def test_the_first_time_of_all_is_one(channel: grpc.Channel, tenant: str, ask: Callable[..., None]) -> None:
    ask(channel, FIRST, call(tenant))


@pytest.mark.parametrize("ask", [decide, say])
def test_the_last_time_of_all_is_one_and_lies_in_the_future(
    channel: grpc.Channel, tenant: str, ask: Callable[..., None]
) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        ask(channel, LAST, call(tenant))
    assert "must not be in the future" in str(refused.value.details())


@pytest.mark.parametrize(("at", "stale"), [(0, True), (1, True), (NOON.timestamp(), False)])
def test_features_of_the_epoch_are_as_old_as_they_say(
    channel: grpc.Channel, tenant: str, at: float, stale: bool
) -> None:
    features = pb.Features(numbers={"days_since_last_activity": 60.0}, as_of=Timestamp(seconds=int(at)))
    request = decisions.DecideRequest(lead_id="lead", features=features)
    decided = decision_service_pb2_grpc.DecisionServiceStub(channel).Decide(request, metadata=call(tenant)).decision
    assert (pb.REASON_CODE_STALE_FEATURES in {each.reason for each in decided.suppressions}) is stale
    assert bool(decided.interventions) is not stale


@pytest.mark.parametrize("ahead", [50, -50])
def test_a_consent_by_a_clock_that_is_ahead_does_not_outdo_the_withdrawal_after_it(
    channel: grpc.Channel, tenant: str, ahead: int
) -> None:
    stub = lead_service_pb2_grpc.LeadServiceStub(channel)
    granted = consent(lead_pb2.CONSENT_STATE_GRANTED, stamp(NOON + timedelta(seconds=ahead)))
    stub.SetConsent(granted, metadata=call(tenant, NOON.isoformat()))
    later = (NOON + timedelta(seconds=20)).isoformat()
    answer = stub.SetConsent(consent(lead_pb2.CONSENT_STATE_WITHDRAWN), metadata=call(tenant, later))
    assert [each.state for each in answer.consent] == [lead_pb2.CONSENT_STATE_WITHDRAWN]
