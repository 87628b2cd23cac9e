"""Subscriptions: moved, listed, deleted, bounded, and what is refused."""

import base64

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status
from keepwell.v1 import feed_service_pb2 as messages

from tests.integration.subscriptions import LATEST, Work, decisions
from tests.integration.test_feed import EARLIEST, reason_of


def test_a_seek_back_hands_everything_out_again_and_old_acknowledgements_change_nothing(work: Work) -> None:
    made = [work.decide() for _ in range(2)]
    consumer = work.subscribe()
    old = consumer.take(2)
    work.acknowledge(old[0])
    work.seek(EARLIEST)
    again = consumer.take(2)
    assert (decisions(again), [delivery.attempt for delivery in again]) == (made, [1, 1])
    work.acknowledge(*old)
    assert [standing.unacknowledged for standing in work.listed()] == [2]


def test_a_seek_ahead_skips_what_lies_between(work: Work) -> None:
    work.decide()
    consumer = work.subscribe(max_outstanding=1)
    consumer.next()
    work.decide()
    work.seek(LATEST)
    made = work.decide()
    assert decisions(consumer.take(1)) == [made]


def test_a_seek_goes_to_a_time_or_after_a_token_of_the_same_filter(work: Work) -> None:
    first = work.decide()
    request = messages.WatchDecisionsRequest(start=EARLIEST)
    watching = work.feed.WatchDecisions(request, metadata=work.metadata, timeout=20)
    token = next(response.resume_token for response in watching if response.decisions)
    second = work.decide()
    consumer = work.subscribe(start=messages.FeedStart(after=token))
    assert decisions(consumer.take(1)) == [second]
    work.seek(messages.FeedStart(at_time=Timestamp(seconds=1)))
    assert decisions(consumer.take(2)) == [first, second]
    with pytest.raises(grpc.RpcError) as error:
        work.seek(messages.FeedStart(after="no token"))
    assert reason_of(error.value) == ("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID")


def test_a_deleted_subscription_ends_its_streams_and_forgets_its_name(work: Work) -> None:
    work.decide()
    consumer = work.subscribe()
    delivery = consumer.next()
    work.feed.DeleteSubscription(messages.DeleteSubscriptionRequest(subscription="mail"), metadata=work.metadata)
    with pytest.raises(grpc.RpcError) as ended:
        consumer.next()
    assert reason_of(ended.value) == ("NOT_FOUND", "SUBSCRIPTION_NOT_FOUND")
    with pytest.raises(grpc.RpcError) as unknown:
        work.acknowledge(delivery)
    assert reason_of(unknown.value) == ("NOT_FOUND", "SUBSCRIPTION_NOT_FOUND")
    assert work.listed() == []
    assert work.subscribe().next().decision == delivery.decision
    work.acknowledge(delivery)
    assert [standing.unacknowledged for standing in work.listed()] == [1]


def test_a_subscription_is_listed_with_its_lag_oldest_decision_and_consumers(work: Work) -> None:
    work.decide()
    work.decide()
    work.subscribe(start=LATEST, consumer="b", subscription="behind").stands()
    consumer = work.subscribe(consumer="a", max_outstanding=1)
    delivery = consumer.next()
    behind, mail = work.listed()
    assert (behind.subscription, behind.lag, behind.unacknowledged) == ("behind", 0, 0)
    assert (mail.subscription, mail.lag, mail.unacknowledged, list(mail.consumers)) == ("mail", 1, 1, ["a"])
    oldest = mail.oldest_unacknowledged_time.ToMilliseconds()
    assert 0 <= oldest - delivery.decision.decided_at.ToMilliseconds() < 2_000


def test_the_lag_of_a_subscription_that_started_in_the_middle_is_counted(work: Work) -> None:
    work.decide()
    request = messages.WatchDecisionsRequest(start=EARLIEST)
    watching = work.feed.WatchDecisions(request, metadata=work.metadata, timeout=20)
    token = next(response.resume_token for response in watching if response.decisions)
    for _ in range(3):
        work.decide()
    consumer = work.subscribe(start=messages.FeedStart(after=token), max_outstanding=1)
    consumer.next()
    assert [standing.lag for standing in work.listed()] == [2]


def test_subscriptions_come_in_pages_by_name(work: Work) -> None:
    for name in ("c", "a", "b"):
        work.subscribe(subscription=name).stands()
    first = work.feed.ListSubscriptions(messages.ListSubscriptionsRequest(page_size=2), metadata=work.metadata)
    assert [one.subscription for one in first.subscriptions] == ["a", "b"]
    request = messages.ListSubscriptionsRequest(page_size=2, page_token=first.next_page_token)
    second = work.feed.ListSubscriptions(request, metadata=work.metadata)
    assert ([one.subscription for one in second.subscriptions], second.next_page_token) == (["c"], "")


def test_the_hundred_and_first_subscription_of_a_tenant_is_refused(work: Work) -> None:
    for number in range(100):
        consumer = work.subscribe(subscription=f"s{number}").stands()
        consumer.leave()
    with pytest.raises(grpc.RpcError) as error:
        work.subscribe(subscription="one-more").next()
    assert reason_of(error.value) == ("RESOURCE_EXHAUSTED", "SUBSCRIPTION_QUOTA")


def fields_of(error: grpc.RpcError) -> list[str]:
    bad = BadRequest()
    for detail in rpc_status.from_call(error).details:  # type: ignore[arg-type]
        detail.Unpack(bad)
    return [violation.field for violation in bad.field_violations]


def test_deliveries_that_the_subscription_did_not_hand_out_are_named_and_nothing_of_the_call_is_done(
    work: Work, channel: grpc.Channel, tenant: str
) -> None:
    work.decide()
    mine = work.subscribe().next()
    elsewhere = work.subscribe(subscription="other").next()
    data = bytearray(base64.urlsafe_b64decode(mine.delivery_id))
    data[-1] ^= 1
    damaged = messages.Delivery(delivery_id=base64.urlsafe_b64encode(bytes(data)).decode())
    foreign_work = Work(channel, tenant + "x")
    foreign_work.decide()
    foreign = foreign_work.subscribe().next()
    with pytest.raises(grpc.RpcError) as error:
        work.acknowledge(mine, elsewhere, damaged, foreign, messages.Delivery(delivery_id="nothing"))
    assert reason_of(error.value) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert fields_of(error.value) == [f"delivery_ids[{place}]" for place in (1, 2, 3, 4)]
    assert {one.subscription: one.unacknowledged for one in work.listed()} == {"mail": 1, "other": 1}


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("subscription", "", "subscription"),
        ("subscription", "two words", "subscription"),
        ("consumer", "", "consumer"),
        ("max_outstanding", 1_001, "max_outstanding"),
        ("max_outstanding", -1, "max_outstanding"),
        ("max_attempts", 101, "max_attempts"),
        ("ack_deadline", Duration(nanos=99_000_000), "ack_deadline"),
        ("ack_deadline", Duration(seconds=3_601), "ack_deadline"),
        ("filter", messages.FeedFilter(lead_ids=["a b"]), "filter.lead_ids[0]"),
    ],
)
def test_a_bad_field_of_a_subscription_is_named(work: Work, field: str, value: object, named: str) -> None:
    with pytest.raises(grpc.RpcError) as error:
        work.subscribe(**{field: value}).next()
    assert reason_of(error.value) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert fields_of(error.value) == [named]


def test_other_tenants_subscriptions_are_not_there(work: Work, channel: grpc.Channel, tenant: str) -> None:
    work.decide()
    work.subscribe().next()
    other = Work(channel, tenant + "x")
    assert other.listed() == []
    with pytest.raises(grpc.RpcError) as error:
        other.seek(EARLIEST)
    assert reason_of(error.value) == ("NOT_FOUND", "SUBSCRIPTION_NOT_FOUND")
