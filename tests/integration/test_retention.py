import asyncio
from collections.abc import Iterator
from typing import cast

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc, feed_service_pb2, feed_service_pb2_grpc

from server.retention import Trimmed, trim, trim_events
from server.store.connection import connect
from server.store.keys import Partition
from tests.integration.subscriptions import Consumer, Work

WEEK_MS = 7 * 86_400_000
FIRST, AFTER_A_WEEK = "2026-03-01T12:00:00Z", "2026-03-08T12:00:00Z"


class Caller:
    """One tenant of a server whose clock is told."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self.tenant = tenant
        self.decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._feed = feed_service_pb2_grpc.FeedServiceStub(channel)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-keepwell-tenant", self.tenant),)

    def decide(self, now: str) -> str:
        request = messages.DecideRequest(lead_id="lead", churn_probability=0.5)
        answer = self.decisions.Decide(request, metadata=(*self.metadata, ("x-keepwell-now", now)))
        return answer.decision.decision_id

    def watch(self, start: feed_service_pb2.FeedStart) -> Iterator[feed_service_pb2.WatchDecisionsResponse]:
        request = feed_service_pb2.WatchDecisionsRequest(start=start)
        return iter(self._feed.WatchDecisions(request, metadata=self.metadata, timeout=20))

    def first(self, start: feed_service_pb2.FeedStart) -> tuple[str, str]:
        """Return the first decision's id from a start on, and the token before it."""
        before = ""
        for response in self.watch(start):
            if response.decisions:
                return response.decisions[0].decision_id, before
            before = response.resume_token
        raise AssertionError("the feed ended")


@pytest.fixture
def caller(channel: grpc.Channel, tenant: str) -> Caller:
    return Caller(channel, tenant)


EARLIEST = feed_service_pb2.FeedStart(earliest=Empty())


def trim_to(store_url: str, tenant: str, retention_ms: int, longest: int = 1_000_000) -> Trimmed | None:
    async def run() -> Trimmed | None:
        store = connect(store_url, timeout_seconds=2)
        try:
            return await trim(store.commit, Partition(tenant, 0), retention_ms, longest)
        finally:
            await store.aclose()

    return asyncio.run(run())


def test_an_event_exactly_as_old_as_the_retention_stays_and_an_older_one_goes(store_url: str, tenant: str) -> None:
    partition = Partition(tenant, 0)

    async def run() -> tuple[list[int], list[bytes]]:
        store = connect(store_url, timeout_seconds=2)
        try:
            removed = [await trim_events(store.commit, partition, WEEK_MS)]
            for arrived_at in (999, 1_000, 1_000 + WEEK_MS):
                await store.commit.xadd(partition.events, {"e": b"", "n": arrived_at}, id=f"{arrived_at}-0")
            removed.append(await trim_events(store.commit, partition, WEEK_MS))
            return removed, [log_id for log_id, _ in await store.commit.xrange(partition.events)]
        finally:
            await store.aclose()

    assert asyncio.run(run()) == ([0, 1], [b"1000-0", b"604801000-0"])


def info_of(error: grpc.RpcError) -> tuple[str, ErrorInfo]:
    info = ErrorInfo()
    for detail in rpc_status.from_call(cast("grpc.Call", error)).details:
        detail.Unpack(info)
    return error.code().name, info


def test_a_decision_exactly_as_old_as_the_retention_stays(caller: Caller, store_url: str) -> None:
    made = [caller.decide(FIRST), caller.decide(AFTER_A_WEEK)]
    assert trim_to(store_url, caller.tenant, WEEK_MS) is None
    assert caller.first(EARLIEST)[0] == made[0]


def test_what_is_older_goes_and_a_token_from_before_it_says_where_to_start_again(
    caller: Caller, store_url: str
) -> None:
    gone, kept = caller.decide(FIRST), caller.decide(AFTER_A_WEEK)
    _, token = caller.first(EARLIEST)
    assert trim_to(store_url, caller.tenant, WEEK_MS - 1)
    with pytest.raises(grpc.RpcError) as error:
        next(caller.watch(feed_service_pb2.FeedStart(after=token)))
    code, info = info_of(error.value)
    assert (code, info.reason) == ("OUT_OF_RANGE", "RESUME_TOKEN_EXPIRED")
    assert info.metadata["earliest_at"] == "2026-03-01T12:00:00.000Z"
    assert caller.first(feed_service_pb2.FeedStart(after=info.metadata["earliest_token"]))[0] == kept
    with pytest.raises(grpc.RpcError) as missing:
        caller.decisions.GetDecision(messages.GetDecisionRequest(decision_id=gone), metadata=caller.metadata)
    assert info_of(missing.value)[1].reason == "DECISION_NOT_FOUND"
    listed = caller.decisions.ListDecisions(messages.ListDecisionsRequest(lead_id="lead"), metadata=caller.metadata)
    assert [decision.decision_id for decision in listed.decisions] == [kept]
    verified = caller.decisions.VerifyDecision(
        messages.VerifyDecisionRequest(decision_id=kept), metadata=caller.metadata
    )
    assert verified.match


def test_a_log_that_is_too_long_loses_its_oldest_and_keeps_exactly_as_many_as_it_may(
    caller: Caller, store_url: str
) -> None:
    made = [caller.decide(FIRST) for _ in range(5)]
    assert trim_to(store_url, caller.tenant, WEEK_MS, 5) is None
    trimmed = trim_to(store_url, caller.tenant, WEEK_MS, 4)
    assert trimmed is not None
    assert trimmed.decisions == 1
    assert caller.first(EARLIEST)[0] == made[1]


def test_what_retention_took_from_a_subscription_is_told_once_as_a_gap_with_its_count(
    channel: grpc.Channel, tenant: str, store_url: str
) -> None:
    work = Work(channel, tenant)
    made = [work.decide() for _ in range(5)]
    consumer = work.subscribe(max_outstanding=2)
    acknowledged, held = consumer.take(2)
    work.acknowledge(acknowledged)
    assert consumer.next().decision.decision_id == made[2]
    trimmed = trim_to(store_url, tenant, WEEK_MS, 1)
    assert (trimmed and trimmed.decisions, trimmed and trimmed.missed) == (
        4,
        3,
    )  # two were held, one not handed out yet
    gap, kept = consumer.take(2)
    assert (gap.HasField("decision"), gap.gap.missed, gap.attempt) == (False, 3, 1)
    assert gap.gap.first_time.ToMilliseconds() == int(gap.gap.first_log_id.partition("-")[0])
    assert trimmed
    assert gap.gap.last_log_id == trimmed.last
    assert kept.decision.decision_id == made[4]
    work.acknowledge(held, gap, kept)
    assert [standing.unacknowledged for standing in work.listed()] == [0]
    more = work.decide()
    assert consumer.next().decision.decision_id == more


def test_a_gap_comes_again_until_it_is_acknowledged_and_what_was_added_meanwhile_is_told_too(
    channel: grpc.Channel, tenant: str, store_url: str
) -> None:
    work = Work(channel, tenant)
    work.decide()
    consumer = work.subscribe(max_outstanding=1)
    consumer.next()
    for _ in range(3):
        work.decide()
    trim_to(store_url, tenant, WEEK_MS, 3)
    first = next_gap(consumer)
    assert (first.gap.missed, first.attempt) == (1, 1)
    trim_to(store_url, tenant, WEEK_MS, 1)
    work.reject(first)
    both = next_gap(consumer)
    assert (both.gap.missed, both.attempt, both.gap.first_log_id) == (3, 2, first.gap.first_log_id)
    work.decide()
    trim_to(store_url, tenant, WEEK_MS, 1)
    work.acknowledge(first, both)
    assert next_gap(consumer).gap.missed == 1


def next_gap(consumer: Consumer) -> feed_service_pb2.Delivery:
    while True:
        delivery = consumer.next()
        if delivery.HasField("gap"):
            return delivery


def test_a_subscription_that_is_up_to_date_misses_nothing(channel: grpc.Channel, tenant: str, store_url: str) -> None:
    work = Work(channel, tenant)
    for _ in range(3):
        work.decide()
    deliveries = work.subscribe()
    work.acknowledge(*deliveries.take(3))
    trimmed = trim_to(store_url, tenant, WEEK_MS, 1)
    assert (trimmed and trimmed.decisions, trimmed and trimmed.missed) == (2, 0)
    made = work.decide()
    assert deliveries.next().decision.decision_id == made
