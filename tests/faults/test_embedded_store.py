import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import grpc
import psutil
import pytest
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc
from redis import Redis

from server.store.binary import find_binary
from server.store.embedded import EmbeddedStore, StoreLockedError, StoreStartError, configuration
from tests.conftest import NotReadyError, Running, start_server

STARTER = """
import sys, time
from pathlib import Path
from server.store.embedded import EmbeddedStore
print(EmbeddedStore.start(Path(sys.argv[1])).pid, flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until_decided(running: Running) -> str:
    """Return a decision's id, once the service makes one again."""
    request = decision_service_pb2.DecideRequest(lead_id="lead", churn_probability=0.5)
    with grpc.insecure_channel(running.address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        deadline = time.monotonic() + 20
        while True:
            try:
                return stub.Decide(request, timeout=10, wait_for_ready=True).decision.decision_id
            except grpc.RpcError:
                assert time.monotonic() < deadline
                time.sleep(0.1)


def answer_of(socket_path: Path) -> bytes:
    """Return what a store says to a ping; nothing when it is not there."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(64)
    except OSError:
        return b""


def hold_200_keys(folder: Path) -> None:
    """Leave a store's data in a folder, as its base file, which is loaded key by key."""
    store = EmbeddedStore.start(folder)
    with Redis.from_url(store.url) as client:
        client.mset({f"key-{number}": os.urandom(1_024) for number in range(200)})
        client.bgrewriteaof()
        while client.info("persistence")["aof_rewrite_in_progress"]:
            time.sleep(0.01)
    store.stop()


def loading_a_key_takes(milliseconds: int, tmp_path: Path) -> str:
    """Return a store's program that loads so slowly."""
    program = tmp_path / "slow-store"
    slowly = f"--key-load-delay {milliseconds * 1_000} --loading-process-events-interval-bytes 1024"
    program.write_text(f'#!/bin/sh\nexec {find_binary(None)} "$@" {slowly}\n')
    program.chmod(0o700)
    return str(program)


def test_two_services_never_share_a_store_folder(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path)
    with pytest.raises(StoreLockedError):
        EmbeddedStore.start(tmp_path)
    store.stop()
    EmbeddedStore.start(tmp_path).stop()


def test_what_was_confirmed_survives_a_kill_of_the_store(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path)
    client = Redis.from_url(store.url)
    for number in range(200):
        client.set(f"key-{number}", number)
    client.close()
    assert store._process is not None
    store._process.kill()
    store._process.wait()
    assert store.ensure_running()
    client = Redis.from_url(store.url)
    assert client.dbsize() == 200
    client.close()
    store.stop()


def test_a_store_that_does_not_come_up_lets_go_of_its_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreStartError):
        EmbeddedStore.start(tmp_path, "false")
    EmbeddedStore.start(tmp_path).stop()


def test_the_store_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        os.kill(starter.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    EmbeddedStore.start(tmp_path).stop()


@pytest.mark.timeout(60)
def test_a_service_on_a_folder_in_use_says_by_whom_and_ends(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError) as ended:
        start_server("--data-dir", str(tmp_path), stderr=log.fileno())
    assert ended.value.args == (1,)
    assert f"store: {tmp_path}/store is in use by process {os.getpid()}\n" in (tmp_path / "log").read_text()
    store.stop()


@pytest.mark.timeout(60)
def test_a_service_whose_store_does_not_come_up_says_what_is_in_its_log(tmp_path: Path) -> None:
    environment = {"KEEPWELL_STORE_BINARY": "false"}
    with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError) as ended:
        start_server("--data-dir", str(tmp_path), environment=environment, stderr=log.fileno())
    assert ended.value.args == (1,)
    assert "store: the store did not come up; its log ends:\n(empty)" in (tmp_path / "log").read_text()


@pytest.mark.timeout(60)
def test_a_store_that_cannot_be_started_just_now_is_started_later(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        running = start_server("--data-dir", str(tmp_path), stderr=log.fileno())
    service = psutil.Process(running.process.pid)
    (store,) = service.children()
    files, most_files = service.rlimit(psutil.RLIMIT_NOFILE)
    service.rlimit(psutil.RLIMIT_NOFILE, (3, most_files))  # not one more can be opened
    store.kill()
    deadline = time.monotonic() + 20
    while "store_down" not in (tmp_path / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    service.rlimit(psutil.RLIMIT_NOFILE, (files, most_files))
    assert until_decided(running)
    assert "[Errno 24] Too many open files" in (tmp_path / "log").read_text()
    assert running.stop() == 0


@pytest.mark.timeout(60)
def test_the_log_says_how_a_store_ended_before_it_was_started_again(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as log:
        running = start_server("--data-dir", str(tmp_path), stderr=log.fileno())
    (store,) = psutil.Process(running.process.pid).children()
    store.terminate()  # it ends by itself, as when its disk is full
    store.wait(20)
    assert until_decided(running)
    assert running.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    died, restarted = (line for line in lines if line["event"] in ("store_died", "store_restarted"))
    assert (died["pid"], died["exit_code"]) == (store.pid, 0)
    assert "now ready to exit, bye bye..." in died["its_log_ends"]
    assert restarted["pid"] != store.pid


def test_a_store_that_holds_much_takes_as_long_to_load_as_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_200_keys(tmp_path / "store")
    monkeypatch.setattr("server.store.embedded.START_SECONDS", 0.5)
    store = EmbeddedStore.start(tmp_path / "store", loading_a_key_takes(10, tmp_path))
    with Redis.from_url(store.url) as client:
        assert client.dbsize() == 200
    store.stop()


@pytest.mark.timeout(60)
def test_a_service_stops_at_once_while_its_store_is_loading_again(tmp_path: Path) -> None:
    hold_200_keys(tmp_path / "store")
    environment = {"KEEPWELL_STORE_BINARY": loading_a_key_takes(10, tmp_path)}
    running = start_server("--data-dir", str(tmp_path), environment=environment)
    (store,) = psutil.Process(running.process.pid).children()
    (tmp_path / "slow-store").write_text((tmp_path / "slow-store").read_text().replace("10000", "200000"))
    store.kill()
    while b"LOADING" not in answer_of(tmp_path / "store" / "store.sock"):
        time.sleep(0.01)
    assert running.stop() == 0


@pytest.mark.timeout(60)
def test_a_store_that_is_loading_is_not_said_to_be_unsafe(tmp_path: Path) -> None:
    hold_200_keys(tmp_path / "store")
    socket_path = tmp_path / "store.sock"
    settings = configuration(tmp_path / "store", socket_path).items()
    options = [part for name, value in settings for part in (f"--{name}", value)]
    with subprocess.Popen([loading_a_key_takes(200, tmp_path), *options]) as loading:
        while b"LOADING" not in answer_of(socket_path):
            time.sleep(0.01)
        with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError) as ended:
            start_server("--redis-url", f"unix://{socket_path}", stderr=log.fileno())
        loading.kill()
    assert ended.value.args == (1,)
    assert (tmp_path / "log").read_text() == "cannot serve: redis_url: the store is loading its data\n"
