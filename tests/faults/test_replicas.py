"""A store with replicas: nothing is told that could be lost with the primary, and a store that became unsafe decides nothing."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import lead_service_pb2 as leads
from redis import ConnectionError as NotUpError
from redis import Redis

from server.store.binary import find_binary
from server.store.embedded import EmbeddedStore
from tests.conftest import NotReadyError, Running, free_port, start_server
from tests.integration.test_feed import reason_of


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


class Server:
    """A store of its own on a port of this machine."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        command = [find_binary(None), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self.process = subprocess.Popen([*command, *durable, *options], stdout=subprocess.DEVNULL)
        self.client: Any = Redis(port=self.port)
        until(self._is_up)

    def _is_up(self) -> bool:
        try:
            return bool(self.client.ping())
        except NotUpError:
            return False

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "primary", "--repl-diskless-sync-delay", "0")
    yield server
    server.stop()


@pytest.fixture
def replica(tmp_path: Path, primary: Server) -> Iterator[Server]:
    server = Server(tmp_path / "replica", "--replicaof", f"127.0.0.1 {primary.port}")
    until(lambda: primary.client.info("replication")["connected_slaves"] == 1)
    until(lambda: server.client.info("replication")["master_link_status"] == "up")
    yield server
    server.stop()


def decide(running: Running, request_id: str) -> messages.DecideResponse:
    with grpc.insecure_channel(running.address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        request = messages.DecideRequest(request_id=request_id, lead_id="lead", churn_probability=0.5)
        return stub.Decide(request, timeout=10)


def refused(running: Running, request_id: str) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as error:
        decide(running, request_id)
    return reason_of(error.value)


@pytest.mark.timeout(60)
def test_a_decision_that_no_replica_has_is_not_told_until_one_has(primary: Server, replica: Server) -> None:
    running = start_server(
        "--redis-url", f"redis://127.0.0.1:{primary.port}", environment={"KEEPWELL_STORE_REPLICAS": "1"}
    )
    first = decide(running, "r1")
    assert replica.client.exists(f"{{default/0}}:decision:{first.decision.decision_id}") == 1
    replica.client.replicaof("NO", "ONE")
    until(lambda: primary.client.info("replication")["connected_slaves"] == 0)
    assert refused(running, "r2") == ("UNAVAILABLE", "COMMIT_UNKNOWN")
    assert refused(running, "r2") == ("UNAVAILABLE", "COMMIT_UNKNOWN")  # it is found, but no replica has it
    assert refused(running, "r1") == ("UNAVAILABLE", "COMMIT_UNKNOWN")
    with grpc.insecure_channel(running.address) as channel:
        stub = lead_service_pb2_grpc.LeadServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.UpsertLeads(
                leads.UpsertLeadsRequest(leads=[lead_pb2.LeadProfile(lead_id="other", region="north")]), timeout=10
            )
        assert reason_of(error.value) == ("UNAVAILABLE", "COMMIT_UNKNOWN")
    replica.client.replicaof("127.0.0.1", str(primary.port))
    until(lambda: replica.client.info("replication")["master_link_status"] == "up")
    second = decide(running, "r2")
    assert second.replayed
    assert replica.client.exists(f"{{default/0}}:decision:{second.decision.decision_id}") == 1
    assert running.stop() == 0


@pytest.mark.timeout(60)
def test_a_store_with_replicas_that_nobody_waits_for_is_refused(
    primary: Server, replica: Server, tmp_path: Path
) -> None:
    for server, said in ((primary, "it has 1 replicas"), (replica, "it is a replica, needed is the primary")):
        with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError):
            start_server("--redis-url", f"redis://127.0.0.1:{server.port}", stderr=log.fileno())
        assert f"cannot serve: the store is not safe: {said}" in (tmp_path / "log").read_text()


@pytest.mark.timeout(60)
def test_a_store_that_is_not_safe_any_more_decides_nothing_until_it_is(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    running = start_server("--redis-url", store.url)
    decide(running, "r1")

    def outcome() -> tuple[str, str]:
        try:
            decide(running, "r1")
        except grpc.RpcError as error:
            return reason_of(error)
        return ("OK", "")

    with Redis.from_url(store.url) as client:
        client.config_set("appendfsync", "everysec")
        until(lambda: outcome() != ("OK", ""))
        assert outcome() == ("UNAVAILABLE", "STATE_UNAVAILABLE")
        client.config_set("appendfsync", "always")
        until(lambda: outcome() == ("OK", ""))
    assert running.stop() == 0
    store.stop()
