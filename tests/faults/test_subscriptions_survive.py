import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc, feed_service_pb2, feed_service_pb2_grpc

from server.store.embedded import EmbeddedStore
from tests.conftest import Running, start_server
from tests.faults.consumer import HELD

DECISIONS = 400


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[list[Running]]:
    """Two servers on one store."""
    store = EmbeddedStore.start(tmp_path)
    servers = [start_server("--redis-url", store.url) for _ in range(2)]
    yield servers
    for server in servers:
        if server.process.poll() is None:
            server.stop()
    store.stop()


def decide(address: str, first: int, count: int) -> set[str]:
    requests = [
        messages.DecideRequest(request_id=f"r{n}", lead_id=f"lead{n}", churn_probability=0.5)
        for n in range(first, first + count)
    ]
    with grpc.insecure_channel(address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        answers = stub.DecideStream(iter([messages.DecideStreamRequest(requests=requests)]))
        return {result.decision.decision_id for answer in answers for result in answer.results}


def consumer(address: str, name: str, mode: str, deadline_seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.faults.consumer", address, name, mode, str(deadline_seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def done_by(process: "subprocess.Popen[str]", count: int) -> list[str]:
    """Return the next so many decisions that a consumer was done with."""
    assert process.stdout
    return [process.stdout.readline().strip() for _ in range(count)]


def kill(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def standing(address: str) -> feed_service_pb2.Subscription:
    with grpc.insecure_channel(address) as channel:
        stub = feed_service_pb2_grpc.FeedServiceStub(channel)
        (found,) = stub.ListSubscriptions(feed_service_pb2.ListSubscriptionsRequest()).subscriptions
        return found


def hold_and_be_killed(address: str, deadline_seconds: float) -> None:
    holding = consumer(address, "killed", "hold", deadline_seconds)
    assert done_by(holding, 1) == ["full"]
    kill(holding)


def test_a_consumer_killed_with_deliveries_in_hand_loses_none(replicas: list[Running]) -> None:
    first, second = replicas
    made = decide(first.address, 0, DECISIONS)
    hold_and_be_killed(first.address, 0.5)
    other = consumer(second.address, "alive", "ack", 30)
    assert set(done_by(other, DECISIONS)) == made
    kill(other)
    left = standing(first.address)
    assert (left.lag, left.unacknowledged, left.dead_letters) == (0, 0, 0)


def test_without_the_deadline_they_would_be_lost(replicas: list[Running]) -> None:
    first, second = replicas
    made = decide(first.address, 0, DECISIONS)
    hold_and_be_killed(first.address, 3_600)
    other = consumer(second.address, "alive", "ack", 30)
    assert len(made - set(done_by(other, DECISIONS - HELD))) == HELD
    kill(other)
    assert standing(first.address).unacknowledged == HELD


def test_a_killed_server_loses_no_delivery_and_another_one_goes_on(replicas: list[Running]) -> None:
    first, second = replicas
    made = decide(first.address, 0, DECISIONS)
    orphan = consumer(first.address, "orphan", "hold", 0.5)
    assert done_by(orphan, 1) == ["full"]
    first.stop(signal.SIGKILL)
    other = consumer(second.address, "alive", "ack", 30)
    made |= decide(second.address, DECISIONS, 100)
    assert set(done_by(other, DECISIONS + 100)) == made
    for process in (orphan, other):
        kill(process)
    left = standing(second.address)
    assert (left.lag, left.unacknowledged) == (0, 0)


def test_a_server_that_drains_ends_its_subscription_streams_cleanly(replicas: list[Running]) -> None:
    server = replicas[0]
    with grpc.insecure_channel(server.address) as channel:
        stub = feed_service_pb2_grpc.FeedServiceStub(channel)
        call = stub.Subscribe(feed_service_pb2.SubscribeRequest(subscription="mail", consumer="one"))
        call.initial_metadata()
        assert server.stop() == 0
        assert list(call) == []
        assert call.code() is grpc.StatusCode.OK
