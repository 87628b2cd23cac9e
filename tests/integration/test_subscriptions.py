"""Subscriptions: what is handed out to whom, again, and no more."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import feed_service_pb2 as messages

from tests.integration.subscriptions import LONG, Work, decisions
from tests.integration.test_feed import reason_of

SHORT = Duration(nanos=100_000_000)


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
