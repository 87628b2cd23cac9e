"""Every call is counted once on the page, however it ends."""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_service_pb2_grpc, feed_service_pb2_grpc
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideStreamRequest, DecideStreamResponse
from keepwell.v1.feed_service_pb2 import FeedStart, SubscribeRequest, WatchDecisionsRequest
from redis import Redis

from server.store.embedded import EmbeddedStore
from tests.conftest import Running, free_port, start_server
from tests.integration.test_metrics_page import shown

START = FeedStart(earliest=Empty())
SUBSCRIBE = SubscribeRequest(subscription="mail", consumer="one", start=START)
ASKED = DecideRequest(lead_id="lead", churn_probability=0.5)


class Counted:
    """A server of its own and what its page says."""

    def __init__(self, running: Running, channel: grpc.Channel, page: str, store_url: str) -> None:
        self.running = running
        self.store_url = store_url
        self.decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self.feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        self._page = page

    def calls(self, method: str) -> dict[str, float]:
        """Return how many calls of a method ended with each code."""
        codes = ("OK", "CANCELLED", "INTERNAL", "UNKNOWN")
        found = {code: shown(self._page, f'keepwell_rpcs_total{{code="{code}",method="{method}"}}') for code in codes}
        return {code: count for code, count in found.items() if count}

    def until_counted(self, method: str, expected: dict[str, float]) -> None:
        while self.calls(method) != expected:
            time.sleep(0.01)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    page = f"127.0.0.1:{free_port()}"
    store = EmbeddedStore.start(tmp_path)
    running = start_server("--redis-url", store.url, environment={"KEEPWELL_METRICS_LISTEN": page})
    with grpc.insecure_channel(running.address) as channel:
        yield Counted(running, channel, page, store.url)
        if running.process.poll() is None:
            assert running.stop() == 0
    store.stop()


def open_until(over: Event, *requests: Any) -> Iterator[Any]:
    yield from requests
    over.wait()


@pytest.mark.timeout(60)
def test_a_stream_that_its_caller_leaves_is_counted_as_cancelled(counted: Counted) -> None:
    counted.decisions.Decide(ASKED)
    subscribing = counted.feed.Subscribe(SUBSCRIBE)
    watching = counted.feed.WatchDecisions(WatchDecisionsRequest(start=START))
    for call, method in ((subscribing, "FeedService.Subscribe"), (watching, "FeedService.WatchDecisions")):
        next(call)
        call.cancel()
        counted.until_counted(method, {"CANCELLED": 1})


@pytest.mark.timeout(60)
def test_a_call_whose_deadline_passes_is_counted_as_cancelled(counted: Counted) -> None:
    over = Event()
    asked = DecideStreamRequest(requests=[DecideRequest(request_id="r", lead_id="lead", churn_probability=0.5)])
    calls: dict[str, Callable[[], object]] = {
        "Decide": lambda: counted.decisions.Decide(ASKED, timeout=0.3),
        "DecideStream": lambda: list(counted.decisions.DecideStream(open_until(over, asked), timeout=0.3)),
    }
    for method, call in calls.items():
        with Redis.from_url(counted.store_url) as store:
            store.client_pause(700)
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        counted.until_counted(f"DecisionService.{method}", {"CANCELLED": 1})
    over.set()
    assert counted.decisions.Decide(ASKED, timeout=20).decision.lead_id == "lead"
    assert counted.calls("DecisionService.Decide") == {"OK": 1, "CANCELLED": 1}


@pytest.mark.timeout(60)
def test_a_stream_that_the_server_ends_is_counted_as_ok(counted: Counted) -> None:
    over = Event()
    keeps_it_up = counted.decisions.DecideStream(open_until(over, DecideStreamRequest()))
    assert next(keeps_it_up) == DecideStreamResponse()
    subscribing = counted.feed.Subscribe(SUBSCRIBE)
    subscribing.initial_metadata()
    counted.running.process.send_signal(signal.SIGTERM)
    assert list(subscribing) == []
    counted.until_counted("FeedService.Subscribe", {"OK": 1})
    over.set()
    assert list(keeps_it_up) == []
    assert counted.running.stop() == 0
