import base64
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc, feed_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as messages

from tests.integration.test_feed import EARLIEST, reason_of

SECOND = Duration(seconds=1)
SHORT = Duration(nanos=100_000_000)
LONG = Duration(seconds=3_600)
LATEST = messages.FeedStart(latest=Empty())


class Work:
    """One tenant's subscriptions, and a way to put decisions into its feed."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self.feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        self.metadata = (("x-keepwell-tenant", tenant),)

    def decide(self, probability: float = 0.5, lead_id: str = "lead") -> str:
        request = decision_service_pb2.DecideRequest(
            request_id=uuid.uuid4().hex, lead_id=lead_id, churn_probability=probability
        )
        return self._decisions.Decide(request, metadata=self.metadata).decision.decision_id

    def subscribe(self, **fields: object) -> "Consumer":
        given: dict[str, object] = {"subscription": "mail", "consumer": "one", "ack_deadline": LONG, "start": EARLIEST}
        request = messages.SubscribeRequest(**(given | fields))  # type: ignore[arg-type]
        call = self.feed.Subscribe(request, metadata=self.metadata, timeout=30)
        return Consumer(call)

    def acknowledge(self, *deliveries: messages.Delivery, subscription: str = "mail") -> None:
        ids = [delivery.delivery_id for delivery in deliveries]
        request = messages.AcknowledgeRequest(subscription=subscription, delivery_ids=ids)
        self.feed.Acknowledge(request, metadata=self.metadata)

    def reject(self, *deliveries: messages.Delivery, retry_after: Duration | None = None) -> None:
        ids = [delivery.delivery_id for delivery in deliveries]
        request = messages.RejectRequest(subscription="mail", delivery_ids=ids, retry_after=retry_after)
        self.feed.Reject(request, metadata=self.metadata)

    def seek(self, start: messages.FeedStart) -> None:
        request = messages.SeekSubscriptionRequest(subscription="mail", start=start)
        self.feed.SeekSubscription(request, metadata=self.metadata)

    def listed(self) -> list[messages.Subscription]:
        answer = self.feed.ListSubscriptions(messages.ListSubscriptionsRequest(), metadata=self.metadata)
        return list(answer.subscriptions)

    def dead(self) -> list[messages.Delivery]:
        request = messages.ListDeadLettersRequest(subscription="mail")
        return list(self.feed.ListDeadLetters(request, metadata=self.metadata).deliveries)


class Consumer:
    """One stream of deliveries."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self._deliveries: Iterator[messages.Delivery] = (
            delivery for response in iter(call) for delivery in response.deliveries
        )

    def stands(self) -> "Consumer":
        """Return once the subscription is there."""
        self.call.initial_metadata()
        return self

    def next(self) -> messages.Delivery:
        return next(self._deliveries)

    def take(self, count: int) -> list[messages.Delivery]:
        return [self.next() for _ in range(count)]

    def leave(self) -> None:
        self.call.cancel()


@pytest.fixture
def work(channel: grpc.Channel, tenant: str) -> Work:
    return Work(channel, tenant)


def decisions(deliveries: list[messages.Delivery]) -> list[str]:
    return [delivery.decision.decision_id for delivery in deliveries]


def test_a_new_subscription_hands_out_the_past_in_order_and_then_what_comes(work: Work) -> None:
    made = [work.decide() for _ in range(3)]
    consumer = work.subscribe()
    deliveries = consumer.take(3)
    assert decisions(deliveries) == made
    assert [delivery.attempt for delivery in deliveries] == [1, 1, 1]
    more = work.decide()
    assert decisions(consumer.take(1)) == [more]


def test_a_new_subscription_starts_at_latest_when_nothing_is_said_and_its_headers_tell_that_it_stands(
    work: Work,
) -> None:
    work.decide()
    consumer = work.subscribe(start=None).stands()
    made = work.decide()
    assert decisions(consumer.take(1)) == [made]


def test_what_was_acknowledged_does_not_come_again_and_what_was_not_does(work: Work) -> None:
    first, second = work.decide(), work.decide()
    consumer = work.subscribe(ack_deadline=SHORT)
    deliveries = {delivery.decision.decision_id: delivery for delivery in consumer.take(2)}
    work.acknowledge(deliveries[first])
    again = consumer.next()
    assert (again.decision.decision_id, again.attempt) == (second, 2)
    assert again.delivery_id != deliveries[second].delivery_id


def test_what_one_consumer_leaves_behind_another_gets_after_its_deadline(work: Work) -> None:
    made = [work.decide() for _ in range(3)]
    first = work.subscribe(ack_deadline=SHORT)
    assert len(first.take(3)) == 3
    first.leave()
    deliveries = work.subscribe(consumer="two").take(3)
    assert sorted(decisions(deliveries)) == sorted(made)
    assert all(delivery.attempt > 1 for delivery in deliveries)


def test_consumers_of_one_name_share_the_work_and_each_decision_goes_to_one_of_them(work: Work) -> None:
    made = [work.decide() for _ in range(6)]
    first = work.subscribe(max_outstanding=3)
    taken = first.take(3)
    taken += work.subscribe(consumer="two").take(3)
    assert sorted(decisions(taken)) == sorted(made)


def test_a_consumer_never_holds_more_than_it_asked_for_and_gets_the_next_when_it_settles_one(work: Work) -> None:
    made = [work.decide() for _ in range(3)]
    consumer = work.subscribe(max_outstanding=2)
    held = consumer.take(2)
    assert decisions(held) == made[:2]
    (standing,) = work.listed()
    assert (standing.unacknowledged, standing.lag) == (2, 1)
    work.acknowledge(held[1])
    assert decisions(consumer.take(1)) == made[2:]


def test_a_rejected_delivery_comes_again_at_once_or_after_its_delay(work: Work) -> None:
    first, second = work.decide(), work.decide()
    consumer = work.subscribe(max_outstanding=2)
    deliveries = consumer.take(2)
    work.reject(deliveries[0], retry_after=LONG)
    work.reject(deliveries[1])
    again = consumer.next()
    assert (again.decision.decision_id, again.attempt) == (second, 2)
    third = work.decide()
    assert decisions(consumer.take(1)) == [third]
    (standing,) = work.listed()
    assert standing.unacknowledged == 3
    assert first in decisions(deliveries)


def test_rejecting_an_attempt_that_was_handed_out_again_takes_it_from_nobody(work: Work) -> None:
    work.decide()
    late = work.subscribe(ack_deadline=SHORT).next()
    other = work.subscribe(consumer="two")
    assert other.next().attempt > late.attempt
    work.reject(late)
    made = work.decide()
    assert decisions(other.take(1)) == [made]


def test_a_late_acknowledgement_counts_and_a_second_one_changes_nothing(work: Work) -> None:
    work.decide()
    late = work.subscribe(ack_deadline=SHORT).next()
    assert work.subscribe(consumer="two").next().attempt > late.attempt
    work.acknowledge(late)
    work.acknowledge(late, late)
    (standing,) = work.listed()
    assert (standing.unacknowledged, standing.lag, standing.HasField("oldest_unacknowledged_time")) == (0, 0, False)


def test_after_its_last_attempt_a_delivery_becomes_a_dead_letter_and_the_rest_goes_on(work: Work) -> None:
    poison = work.decide()
    consumer = work.subscribe(max_attempts=2)
    for attempt in (1, 2):
        delivery = consumer.next()
        assert (delivery.decision.decision_id, delivery.attempt) == (poison, attempt)
        work.reject(delivery)
    made = work.decide()
    assert decisions(consumer.take(1)) == [made]
    (letter,) = work.dead()
    assert (letter.decision.decision_id, letter.attempt) == (poison, 2)
    assert letter.decision.rule_trace
    assert [standing.dead_letters for standing in work.listed()] == [1]


def test_dead_letters_come_in_pages_oldest_first(work: Work) -> None:
    made = [work.decide() for _ in range(3)]
    consumer = work.subscribe(max_attempts=1, max_outstanding=1)
    for _ in made:
        work.reject(consumer.next())
    work.decide()
    consumer.next()
    found: list[str] = []
    token = ""
    sizes: list[int] = []
    while not sizes or token:
        request = messages.ListDeadLettersRequest(subscription="mail", page_size=2, page_token=token)
        page = work.feed.ListDeadLetters(request, metadata=work.metadata)
        token = page.next_page_token
        sizes.append(len(page.deliveries))
        found += decisions(list(page.deliveries))
    assert (found, sizes) == (made, [2, 1])


def test_what_the_filter_holds_back_is_not_handed_out_and_does_not_stay_behind(work: Work) -> None:
    work.decide(0.1, "calm")
    hot = work.decide(0.7, "hot")
    work.decide(0.1, "calm")
    wanted = messages.FeedFilter(stages=[pb.INTERVENTION_STAGE_ACTIVE_RISK])
    consumer = work.subscribe(filter=wanted, max_outstanding=1)
    delivery = consumer.next()
    assert delivery.decision.decision_id == hot
    work.acknowledge(delivery)
    again = work.decide(0.7, "hot")
    assert decisions(consumer.take(1)) == [again]
    (standing,) = work.listed()
    assert (standing.unacknowledged, standing.lag, standing.filter) == (1, 0, wanted)


def test_another_filter_on_the_same_name_is_refused_and_the_same_in_another_order_is_not(work: Work) -> None:
    made = work.decide(0.7)
    stages = [pb.INTERVENTION_STAGE_ACTIVE_RISK, pb.INTERVENTION_STAGE_CRITICAL_RISK]
    work.subscribe(filter=messages.FeedFilter(stages=stages)).stands()
    other = work.subscribe(consumer="two")
    with pytest.raises(grpc.RpcError) as error:
        other.next()
    assert reason_of(error.value) == ("FAILED_PRECONDITION", "SUBSCRIPTION_FILTER_MISMATCH")
    same = work.subscribe(consumer="three", filter=messages.FeedFilter(stages=[*reversed(stages), stages[0]]))
    same.stands()
    assert made


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
