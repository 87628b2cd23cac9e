import base64
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import grpc
import pytest
import redis
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc, feed_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as messages

from tests.conftest import start_server

EARLIEST = messages.FeedStart(earliest=Empty())


class Feed:
    """One tenant's feed, and a way to put decisions into it."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        self.metadata = (("x-keepwell-tenant", tenant),)

    def decide(self, probability: float, lead_id: str = "lead") -> str:
        request = decision_service_pb2.DecideRequest(
            request_id=uuid.uuid4().hex, lead_id=lead_id, churn_probability=probability
        )
        return self._decisions.Decide(request, metadata=self.metadata).decision.decision_id

    def watch(
        self, start: messages.FeedStart, feed_filter: messages.FeedFilter | None = None
    ) -> Iterator[messages.WatchDecisionsResponse]:
        request = messages.WatchDecisionsRequest(start=start, filter=feed_filter, heartbeat=Duration(nanos=200_000_000))
        return iter(self._feed.WatchDecisions(request, metadata=self.metadata, timeout=20))

    def read(
        self, start: messages.FeedStart, count: int, feed_filter: messages.FeedFilter | None = None
    ) -> tuple[list[str], str]:
        """Return so many decision ids, in order, and the token after them."""
        found: list[str] = []
        for response in self.watch(start, feed_filter):
            found += [decision.decision_id for decision in response.decisions]
            if len(found) >= count:
                return found, response.resume_token
        raise AssertionError("the feed ended")


@pytest.fixture
def feed(channel: grpc.Channel, tenant: str) -> Feed:
    return Feed(channel, tenant)


def reason_of(error: grpc.RpcError) -> tuple[str, str]:
    info = ErrorInfo()
    for detail in rpc_status.from_call(cast("grpc.Call", error)).details:
        detail.Unpack(info)
    return error.code().name, info.reason


def test_the_feed_delivers_every_decision_in_the_order_of_its_commit(feed: Feed) -> None:
    made = [feed.decide(0.1 * step) for step in range(10)]
    assert feed.read(EARLIEST, 10)[0] == made


def test_a_token_resumes_right_after_its_message_at_every_boundary(feed: Feed) -> None:
    made = [feed.decide(0.5) for _ in range(4)]
    _, token = feed.read(EARLIEST, 4)
    assert token
    more = [feed.decide(0.5) for _ in range(3)]
    assert feed.read(messages.FeedStart(after=token), 3)[0] == more
    first = next(feed.watch(EARLIEST))
    assert feed.read(messages.FeedStart(after=first.resume_token), 7)[0] == made + more


def test_a_watcher_that_starts_at_latest_sees_what_comes_and_nothing_before(feed: Feed) -> None:
    feed.decide(0.5)
    stream = feed.watch(messages.FeedStart(latest=Empty()))
    assert next(stream).checkpoint
    made = feed.decide(0.5)
    delivered = next(decision.decision_id for response in stream for decision in response.decisions)
    assert delivered == made


def test_a_time_in_the_future_starts_behind_everything_and_one_in_the_past_before(feed: Feed) -> None:
    made = feed.decide(0.5)
    assert feed.read(messages.FeedStart(at_time=Timestamp(seconds=1)), 1)[0] == [made]
    stream = feed.watch(messages.FeedStart(at_time=Timestamp(seconds=4_000_000_000)))
    assert [len(next(stream).decisions) for _ in range(3)] == [0, 0, 0]


def test_a_filter_lets_through_what_it_names_and_no_other(feed: Feed) -> None:
    feed.decide(0.1, "calm")
    at_risk = feed.decide(0.7, "hot")
    by_stage = messages.FeedFilter(stages=[pb.INTERVENTION_STAGE_ACTIVE_RISK])
    by_lead = messages.FeedFilter(lead_ids=["hot"])
    by_channel = messages.FeedFilter(channels=[pb.INTERVENTION_CHANNEL_EMAIL])
    for each in (by_stage, by_lead, by_channel):
        assert feed.read(EARLIEST, 1, each)[0] == [at_risk]


def test_checkpoints_come_while_nothing_happens_and_carry_a_token(feed: Feed) -> None:
    stream = feed.watch(EARLIEST)
    responses = [next(stream) for _ in range(3)]
    assert all(response.checkpoint and response.resume_token and not response.decisions for response in responses)


def test_a_damaged_foreign_or_other_filters_token_is_refused(feed: Feed, channel: grpc.Channel, tenant: str) -> None:
    feed.decide(0.5)
    _, token = feed.read(EARLIEST, 1)
    data = bytearray(base64.urlsafe_b64decode(token))
    data[-1] ^= 1
    damaged = base64.urlsafe_b64encode(bytes(data)).decode()
    foreign = Feed(channel, tenant + "x")
    attempts = [
        (feed, damaged, None),
        (feed, "no token", None),
        (foreign, token, None),
        (feed, token, messages.FeedFilter(escalations_only=True)),
    ]
    for watcher, after, feed_filter in attempts:
        stream = watcher.watch(messages.FeedStart(after=after), feed_filter)
        with pytest.raises(grpc.RpcError) as error:
            next(stream)
        assert reason_of(error.value) == ("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID")


def test_two_watchers_get_the_same_decisions(feed: Feed) -> None:
    streams = [feed.watch(messages.FeedStart(latest=Empty())) for _ in range(2)]
    assert all(next(stream).checkpoint for stream in streams)
    made = [feed.decide(0.5) for _ in range(5)]
    for stream in streams:
        found: list[str] = []
        while len(found) < 5:
            found += [decision.decision_id for decision in next(stream).decisions]
        assert found == made


def readers(store: redis.Redis) -> int:
    """Return how many connections wait for new decisions."""
    clients: list[dict[str, str]] = store.client_list()
    return sum(client["cmd"] == "xread" for client in clients)


def becomes(store: redis.Redis, count: int) -> bool:
    deadline = time.monotonic() + 10
    while readers(store) != count and time.monotonic() < deadline:
        time.sleep(0.02)
    return readers(store) == count


def test_nobody_reads_the_log_for_watchers_that_have_left(tmp_path: Path, tenant: str) -> None:
    server = start_server("--data-dir", str(tmp_path))
    store = redis.Redis(unix_socket_path=str(tmp_path / "store" / "store.sock"))
    with grpc.insecure_channel(server.address) as channel:
        feed = Feed(channel, tenant)
        streams = [feed.watch(EARLIEST) for _ in range(2)]
        assert all(next(stream).checkpoint for stream in streams)
        assert becomes(store, 1)
        streams[0].cancel()  # type: ignore[attr-defined]
        made = feed.decide(0.5)
        assert next(d.decision_id for response in streams[1] for d in response.decisions) == made
        assert becomes(store, 1)
        streams[1].cancel()  # type: ignore[attr-defined]
        assert becomes(store, 0)
        assert feed.read(EARLIEST, 1)[0] == [made]
    store.close()
    assert server.stop() == 0


def test_the_feeds_of_100_tenants_wait_for_none_of_the_others(channel: grpc.Channel, tenant: str) -> None:
    feeds = [Feed(channel, f"{tenant}-{number}") for number in range(100)]
    watches = [feed.watch(messages.FeedStart(latest=Empty())) for feed in feeds]
    for watch in watches:
        assert not next(watch).decisions
    decided = [feed.decide(0.5) for feed in feeds]
    delivered = [next(each.decisions[0].decision_id for each in watch if each.decisions) for watch in watches]
    assert delivered == decided
