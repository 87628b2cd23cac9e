import os
import shutil
import signal
import time
import uuid
from pathlib import Path

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc, feed_service_pb2, feed_service_pb2_grpc
from redis import Redis

from server.models import SHIPPED as SHIPPED_MODEL
from server.policies import SHIPPED as SHIPPED_POLICY
from server.store.embedded import EmbeddedStore
from tests.conftest import NotReadyError, free_port, start_server
from tests.integration.test_metrics_page import shown


def decide(
    address: str, probability: float | None = 0.5, lead_id: str = "lead", features: pb.Features | None = None
) -> pb.Decision:
    with grpc.insecure_channel(address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        request = decision_service_pb2.DecideRequest(lead_id=lead_id, churn_probability=probability, features=features)
        return stub.Decide(request, timeout=10).decision


def first_of_the_feed(address: str) -> str:
    """Return the id of the first decision that the feed delivers."""
    request = feed_service_pb2.WatchDecisionsRequest(start=feed_service_pb2.FeedStart(earliest=Empty()))
    with grpc.insecure_channel(address) as channel:
        messages = feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(request, timeout=10)
        return next(message.decisions[0].decision_id for message in messages if message.decisions)


def refusal_of_a_subscription(address: str) -> str | None:
    """Return why a new subscription is refused."""
    request = feed_service_pb2.SubscribeRequest(subscription="new", consumer="consumer")
    with grpc.insecure_channel(address) as channel:
        deliveries = feed_service_pb2_grpc.FeedServiceStub(channel).Subscribe(request, timeout=10)
        with pytest.raises(grpc.RpcError) as error:
            next(iter(deliveries))
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    return error.value.details()


def test_without_a_store_nothing_is_decided_and_it_recovers_by_itself(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    running = start_server("--redis-url", store.url)
    decide(running.address)
    store.stop()
    with pytest.raises(grpc.RpcError) as error:
        decide(running.address)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    again = EmbeddedStore.start(tmp_path / "store")
    assert decide(running.address).decision_id
    assert running.stop() == 0
    again.stop()


def test_a_silent_store_keeps_nobody_waiting_for_those_before(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    page = f"127.0.0.1:{free_port()}"
    environment = {"KEEPWELL_METRICS_LISTEN": page, "KEEPWELL_REVIEWS": "false"}
    running = start_server("--redis-url", store.url, environment=environment)
    requests = [
        decision_service_pb2.DecideRequest(request_id=f"r{number}", lead_id=f"lead-{number}", churn_probability=0.5)
        for number in range(1_024)
    ]
    portfolio = decision_service_pb2.DecideStreamRequest(requests=requests)
    with grpc.insecure_channel(running.address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        os.kill(store.pid or 0, signal.SIGSTOP)
        results = [each for answer in stub.DecideStream(iter([portfolio]), timeout=60) for each in answer.results]
        os.kill(store.pid or 0, signal.SIGCONT)
    assert len(results) == 1_024
    assert {each.error.code for each in results} == {grpc.StatusCode.UNAVAILABLE.value[0]}
    assert shown(page, "keepwell_batch_jobs_count") == 1  # the first 256 waited for the store, and all others with them
    assert decide(running.address).decision_id
    assert running.stop() == 0
    store.stop()


def test_a_store_without_memory_left_takes_no_decision_and_still_serves_the_feed(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    before = start_server("--redis-url", store.url)
    decided = decide(before.address).decision_id
    assert first_of_the_feed(before.address) == decided
    assert before.stop() == 0
    with Redis.from_url(store.url) as client:
        client.config_set("maxmemory", 1)
    running = start_server("--redis-url", store.url)
    with pytest.raises(grpc.RpcError) as error:
        decide(running.address)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "command not allowed when used memory > 'maxmemory'" in str(error.value.details())
    assert first_of_the_feed(running.address) == decided
    assert refusal_of_a_subscription(running.address) == "the store refuses it: OutOfMemoryError; subscribe again"
    assert running.stop() == 0
    store.stop()


def test_a_log_that_nobody_reads_any_more_stops_no_decision(store_url: str) -> None:
    reading, writing = os.pipe()
    running = start_server("--redis-url", store_url, environment={"KEEPWELL_LOG_LEVEL": "info"}, stderr=writing)
    os.close(writing)
    os.close(reading)
    first, second = (decide(running.address, lead_id=uuid.uuid4().hex) for _ in range(2))
    assert first.decision_id != second.decision_id
    assert running.stop() == 0


def test_a_damaged_model_is_replaced_by_the_fallback_with_a_reason(tmp_path: Path, store_url: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(SHIPPED_MODEL, folder)
    damaged = bytearray((folder / "churn.cbm").read_bytes())
    damaged[1_000] ^= 1
    (folder / "churn.cbm").write_bytes(bytes(damaged))
    running = start_server("--redis-url", store_url, environment={"KEEPWELL_MODEL_DIR": str(folder)})
    features = pb.Features(numbers={"days_since_last_activity": 60, "active_days_30": 0})
    assessment = decide(running.address, None, f"lead-{tmp_path.name}", features).assessment
    assert assessment.source == pb.ASSESSMENT_SOURCE_FALLBACK
    assert assessment.model_version == "fallback-1"
    assert assessment.degraded_reason == "model not loaded: churn.cbm was changed after it was made"
    assert not assessment.HasField("expected_days_to_churn")
    assert assessment.no_estimate_reason == pb.NO_ESTIMATE_REASON_MODEL_UNAVAILABLE
    assert running.stop() == 0


def test_a_broken_policy_keeps_the_one_before_it_and_a_good_one_takes_over(tmp_path: Path, store_url: str) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(SHIPPED_POLICY.read_text())
    running = start_server("--redis-url", store_url, "--policy", str(policy))
    before = decide(running.address).policy_version
    policy.write_text("schema: keepwell.policy/v1\nname: [")
    running.process.send_signal(signal.SIGHUP)
    assert decide(running.address).policy_version == before
    policy.write_text(SHIPPED_POLICY.read_text().replace("name: default", "name: second"))
    running.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 30
    while decide(running.address).policy_name != "second":
        assert time.monotonic() < deadline
    assert running.stop() == 0


def test_an_unsafe_store_is_refused_by_name(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path)
    client = Redis.from_url(store.url)
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.close()
    with pytest.raises(NotReadyError, match="1"):
        start_server("--redis-url", store.url)
    store.stop()
