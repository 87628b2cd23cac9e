"""Requests with more bad fields than a status can name are still answered with what is wrong; clients have gRPC's own limits."""

from collections.abc import Callable
from typing import cast

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status
from keepwell.v1 import decision_service_pb2_grpc, feed_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1.decision_pb2 import Features
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideStreamRequest
from keepwell.v1.feed_service_pb2 import (
    AcknowledgeRequest,
    FeedFilter,
    RejectRequest,
    SubscribeRequest,
    WatchDecisionsRequest,
)
from keepwell.v1.lead_service_pb2 import RecordEventsRequest, UpsertLeadsRequest

Metadata = tuple[tuple[str, str], ...]


@pytest.fixture
def metadata(tenant: str) -> Metadata:
    return (("x-keepwell-tenant", tenant),)


def refused(call: Callable[[], object]) -> tuple[str, list[str]]:
    """Return the code and the paths of the bad fields."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    status, bad = rpc_status.from_call(cast("grpc.Call", error.value)), BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    return error.value.code().name, [violation.field for violation in bad.field_violations]


def with_contacts(count: int) -> lead_pb2.LeadProfile:
    return lead_pb2.LeadProfile(contacts={f"carrier pigeon {number}": "coop" for number in range(count)})


@pytest.mark.parametrize(("contacts", "fewest", "most"), [(0, 1, 1), (7, 8, 8), (4_999, 9, 99)])
def test_a_decision_asked_for_with_1_8_or_5000_bad_fields_names_the_first(
    channel: grpc.Channel, metadata: Metadata, contacts: int, fewest: int, most: int
) -> None:
    stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
    request = DecideRequest(lead_id="no id", profile=with_contacts(contacts))
    code, paths = refused(lambda: stub.Decide(request, metadata=metadata))
    assert (code, paths[0]) == ("INVALID_ARGUMENT", "lead_id")
    assert fewest <= len(set(paths)) <= most


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_unknown_features_each_told_with_all_that_there_are_are_told_as_far_as_they_fit(
    channel: grpc.Channel, metadata: Metadata, count: int
) -> None:
    stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
    unknown = {f"shoe_size_{number}": 43.0 for number in range(count)}
    request = DecideRequest(lead_id="lead", features=Features(numbers=unknown))
    code, paths = refused(lambda: stub.Decide(request, metadata=metadata))
    assert (code, len(paths)) == ("INVALID_ARGUMENT", min(count, 3))
    assert set(paths) <= {f'features.numbers["{name}"]' for name in unknown}


@pytest.mark.parametrize("count", [1, 8, 1_000])
def test_batches_in_which_all_is_bad_name_the_first_item(channel: grpc.Channel, metadata: Metadata, count: int) -> None:
    stub = lead_service_pb2_grpc.LeadServiceStub(channel)
    leads = UpsertLeadsRequest(leads=[lead_pb2.LeadProfile()] * count)
    code, paths = refused(lambda: stub.UpsertLeads(leads, metadata=metadata))
    assert (code, paths[0]) == ("INVALID_ARGUMENT", "leads[0].lead_id")
    events = RecordEventsRequest(events=[lead_pb2.LeadEvent()] * count)
    code, paths = refused(lambda: stub.RecordEvents(events, metadata=metadata))
    assert (code, paths[0]) == ("INVALID_ARGUMENT", "events[0].event_id")


@pytest.mark.parametrize("count", [1, 8, 1_000])
def test_filters_and_deliveries_of_which_all_are_bad_name_the_first(
    channel: grpc.Channel, metadata: Metadata, count: int
) -> None:
    stub = feed_service_pb2_grpc.FeedServiceStub(channel)
    wanted = FeedFilter(lead_ids=["no id"] * count)
    watching = stub.WatchDecisions(WatchDecisionsRequest(filter=wanted), metadata=metadata)
    assert_names(lambda: next(watching), "filter.lead_ids[0]")
    request = SubscribeRequest(subscription="s", consumer="c", filter=wanted)
    subscribing = stub.Subscribe(request, metadata=metadata)
    assert_names(lambda: next(subscribing), "filter.lead_ids[0]")
    ids = ["foreign"] * count
    acknowledging = AcknowledgeRequest(subscription="s", delivery_ids=ids)
    assert_names(lambda: stub.Acknowledge(acknowledging, metadata=metadata), "delivery_ids[0]")
    rejecting = RejectRequest(subscription="s", delivery_ids=ids)
    assert_names(lambda: stub.Reject(rejecting, metadata=metadata), "delivery_ids[0]")


def assert_names(call: Callable[[], object], first: str) -> None:
    code, paths = refused(call)
    assert (code, paths[0]) == ("INVALID_ARGUMENT", first)


def test_a_thousand_items_refused_for_many_fields_each_are_answered_in_messages_that_a_client_takes(
    channel: grpc.Channel, metadata: Metadata
) -> None:
    fields = {f"shoe_size_{number}": 43.0 for number in range(8)}
    bad = DecideRequest(request_id="r", lead_id="lead", features=Features(numbers=fields))
    stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
    answers = stub.DecideStream(iter([DecideStreamRequest(requests=[bad] * 1_024)]), metadata=metadata)
    results = [result for answer in answers for result in answer.results]
    assert len(results) == 1_024
    assert {result.error.code for result in results} == {grpc.StatusCode.INVALID_ARGUMENT.value[0]}
    leads = [
        lead_pb2.LeadProfile(lead_id="lead"),
        *[lead_pb2.LeadProfile(attributes=dict.fromkeys(fields, "\n"))] * 999,
    ]
    writing = lead_service_pb2_grpc.LeadServiceStub(channel)
    upserted = writing.UpsertLeads(UpsertLeadsRequest(leads=leads), metadata=metadata)
    assert (upserted.upserted, [item.index for item in upserted.rejected]) == (1, list(range(1, 1_000)))
