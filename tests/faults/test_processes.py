"""Several serving processes behind one port, killed one by one and all at once."""

import asyncio
import contextlib
import json
import signal
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import psutil
import pytest
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc

from server.policies import SHIPPED
from server.processes import PortTakenError, next_pause, reserved, tell
from tests.conftest import NotReadyError, Running, start_server

PATIENCE_SECONDS = 60


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Running]:
    """A service of two processes on a port that the system chose, with a policy of its own, and its log."""
    (tmp_path / "policy.yaml").write_text(SHIPPED.read_text())
    with (tmp_path / "log").open("w") as log:
        options = ["--processes", "2", "--data-dir", str(tmp_path), "--policy", str(tmp_path / "policy.yaml")]
        running = start_server(*options, port=0, environment={"KEEPWELL_LOG_LEVEL": "info"}, stderr=log.fileno())
    yield running
    if running.process.poll() is None:
        running.stop(signal.SIGKILL)


def serving(running: Running) -> list[psutil.Process]:
    """Return the service's serving processes that have not ended."""
    found = []
    for process in psutil.Process(running.process.pid).children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            if "server.supervise" in process.cmdline():
                found.append(process)
    return found


def processes_with(name: str, value: str) -> list[psutil.Process]:
    """Return the processes whose environment has a variable of this value."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(name) == value:
                found.append(process)
    return found


def policy_of(address: str) -> str:
    """Return the policy of a decision by whichever process a new connection leads to."""
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        request = decision_service_pb2.DecideRequest(lead_id=uuid.uuid4().hex, churn_probability=0.5)
        return stub.Decide(request, timeout=10, wait_for_ready=True).decision.policy_name


def logged(tmp_path: Path, event: str) -> int:
    """Return how often the log says so."""
    return (tmp_path / "log").read_text().count(f'"event":"{event}"')


def until_logged(running: Running, tmp_path: Path, event: str, count: int = 1) -> None:
    """Wait until the log says so, so many times."""
    while logged(tmp_path, event) < count:
        assert running.process.poll() is None
        time.sleep(0.01)


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_killed_process_is_replaced_and_the_log_says_so(two: Running, tmp_path: Path) -> None:
    first, second = serving(two)
    first.kill()
    until_logged(two, tmp_path, "process_died")
    assert policy_of(two.address) == "default"
    until_logged(two, tmp_path, "process_replaced")
    after = serving(two)
    assert len(after) == 2
    assert second in after
    assert first not in after
    assert {policy_of(two.address) for _ in range(20)} == {"default"}
    assert two.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_process_that_cannot_be_started_just_now_is_started_later_and_the_others_serve_on(
    two: Running, tmp_path: Path
) -> None:
    keeper = psutil.Process(two.process.pid)
    files, most_files = keeper.rlimit(psutil.RLIMIT_NOFILE)
    keeper.rlimit(psutil.RLIMIT_NOFILE, (3, most_files))  # not one more can be opened
    first, second = serving(two)
    first.kill()
    until_logged(two, tmp_path, "process_not_started")
    assert policy_of(two.address) == "default"
    keeper.rlimit(psutil.RLIMIT_NOFILE, (files, most_files))
    until_logged(two, tmp_path, "process_replaced")
    after = serving(two)
    assert len(after) == 2
    assert second in after
    assert two.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_nothing_outlives_its_supervisor_and_the_next_one_takes_over(two: Running, tmp_path: Path) -> None:
    processes = psutil.Process(two.process.pid).children(recursive=True)
    assert len(processes) == 3  # two that serve, and the store
    assert set(processes_with("KEEPWELL_DATA_DIR", str(tmp_path))) == set(serving(two))
    two.stop(signal.SIGKILL)
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    port = int(two.address.rpartition(":")[2])
    again = start_server("--processes", "2", "--data-dir", str(tmp_path), port=port)
    assert {policy_of(again.address) for _ in range(20)} == {"default"}
    assert again.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_stop_between_death_and_replacement_is_a_stop(two: Running, tmp_path: Path) -> None:
    for process in serving(two):
        process.kill()
    until_logged(two, tmp_path, "process_died", 2)
    assert two.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_process_that_hangs_does_not_keep_the_service_from_ending(two: Running, tmp_path: Path) -> None:
    processes = psutil.Process(two.process.pid).children(recursive=True)
    hanging = serving(two)[0]
    hanging.suspend()
    assert two.stop() == 9  # its drain of ten seconds, and ten to close
    assert logged(tmp_path, "process_killed") == 1
    assert psutil.wait_procs(processes, timeout=10)[1] == []


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_stop_while_replacements_start_is_a_stop(two: Running) -> None:
    killed = serving(two)
    for process in killed:
        process.kill()
    while len(set(serving(two)) - set(killed)) < 2:
        time.sleep(0.01)
    assert two.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_reload_does_not_kill_a_process_that_is_still_starting(two: Running, tmp_path: Path) -> None:
    for process in serving(two):
        process.kill()
    while logged(tmp_path, "process_replaced") < 2:
        two.process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    assert logged(tmp_path, "process_died") == 2
    assert two.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_process_that_does_not_stay_up_is_tried_again_less_and_less_often(two: Running, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").rename(tmp_path / "away.yaml")
    serving(two)[0].kill()
    until_logged(two, tmp_path, "process_died", 3)
    (tmp_path / "away.yaml").rename(tmp_path / "policy.yaml")
    until_logged(two, tmp_path, "process_replaced")
    for process in serving(two):
        process.kill()
    until_logged(two, tmp_path, "process_replaced", 3)
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if '"process_died"' in line]
    pauses = [line["again_in_seconds"] for line in lines]
    assert pauses[:3] == [0.5, 1.0, 2.0]
    assert sorted(pauses[3:]) == [
        0.5,
        4.0,
    ]  # the one that has only just come up is among those that die again and again
    assert two.stop() == 0


def test_a_process_that_served_for_half_a_minute_is_replaced_at_once_again() -> None:
    assert next_pause(None, 0.1) == 0.5
    assert next_pause(0.5, 29.9) == 1.0
    assert next_pause(0.5, 30.0) == 0.5
    assert next_pause(16.0, 0.1) == 30.0
    assert next_pause(30.0, 0.1) == 30.0
    assert next_pause(30.0, 30.0) == 0.5


async def test_a_signal_to_a_process_that_is_just_ending_does_not_take_its_exit_code_away() -> None:
    for _ in range(20):
        process = await asyncio.create_subprocess_exec("sh", "-c", "exit 3")
        while process.returncode is None:
            tell(process, signal.SIGWINCH)
            await asyncio.sleep(0)
        assert process.returncode == 3


def test_a_reserved_port_is_kept_while_nobody_listens() -> None:
    with reserved("127.0.0.1:0") as listen:
        with pytest.raises(PortTakenError, match=f"{listen}: Address already in use"), reserved(listen):
            pass
        with socket.socket() as other, pytest.raises(OSError, match="Address already in use"):
            other.bind(("127.0.0.1", int(listen.rpartition(":")[2])))
    with reserved(listen) as again:
        assert again == listen


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_port_is_not_shared_with_another_service(two: Running, tmp_path: Path) -> None:
    port = int(two.address.rpartition(":")[2])
    for processes in ("1", "2"):
        other = ["--processes", processes, "--data-dir", str(tmp_path / "elsewhere")]
        with (tmp_path / "other").open("w") as log, pytest.raises(NotReadyError) as refused:
            start_server(*other, port=port, stderr=log.fileno())
        assert refused.value.args == (1,)
        assert two.address in (tmp_path / "other").read_text()
    assert two.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_a_reload_reaches_every_process(two: Running, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(SHIPPED.read_text().replace("name: default", "name: second"))
    two.process.send_signal(signal.SIGHUP)
    until_logged(two, tmp_path, "policy_active", 2)
    assert {policy_of(two.address) for _ in range(20)} == {"second"}
    assert two.stop() == 0


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_unless_all_processes_come_up_none_stays(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("schema: keepwell.policy/v1\nname: [")
    with pytest.raises(NotReadyError) as ended:
        start_server("--processes", "2", "--data-dir", str(tmp_path), "--policy", str(tmp_path / "broken.yaml"))
    assert ended.value.args == (1,)
    assert processes_with("KEEPWELL_DATA_DIR", str(tmp_path)) == []
