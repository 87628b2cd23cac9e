"""The Prometheus page of one process, and of several that share a port."""

import time
import uuid
from pathlib import Path
from urllib.request import urlopen

import grpc
import psutil
import pytest
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc, feed_service_pb2, feed_service_pb2_grpc

from tests.conftest import NotReadyError, free_port, start_server

OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def shown(page: str, name: str) -> float | None:
    """Return the value that the page has for a name; None when it has none."""
    lines = urlopen(f"http://{page}/metrics").read().decode().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)


def until_shown(page: str, name: str, value: float) -> None:
    while shown(page, name) != value:
        time.sleep(0.01)


def decide(address: str, times: int) -> None:
    """Ask so many times, over a connection each, which lead to any of the processes."""
    for _ in range(times):
        with grpc.insecure_channel(address, options=OWN_CONNECTION) as channel:
            stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
            request = decision_service_pb2.DecideRequest(lead_id=uuid.uuid4().hex, churn_probability=0.5)
            stub.Decide(request, timeout=20, wait_for_ready=True)


@pytest.mark.timeout(60)
def test_two_processes_have_one_page_that_counts_on_when_they_are_killed(tmp_path: Path) -> None:
    page = f"127.0.0.1:{free_port()}"
    environment = {"KEEPWELL_METRICS_LISTEN": page, "KEEPWELL_REVIEWS": "false"}
    running = start_server("--processes", "2", "--data-dir", str(tmp_path), environment=environment)
    decide(running.address, 20)
    assert shown(page, "keepwell_decisions_total") == 20
    with grpc.insecure_channel(running.address) as channel:
        start = feed_service_pb2.FeedStart(earliest=Empty())
        feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        watching = feed.WatchDecisions(feed_service_pb2.WatchDecisionsRequest(start=start))
        next(watching)
        assert shown(page, "keepwell_watchers") == 1
        for process in psutil.Process(running.process.pid).children():
            if "server.supervise" in process.cmdline():
                process.kill()
        until_shown(page, "keepwell_processes_died_total", 2)
        assert shown(page, "keepwell_watchers") in (0, None)
    assert shown(page, "keepwell_decisions_total") == 20
    decide(running.address, 5)
    assert shown(page, "keepwell_decisions_total") == 25
    assert running.stop() == 0


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_page_that_somebody_else_serves_is_named(tmp_path: Path, store_url: str, processes: str) -> None:
    page = f"127.0.0.1:{free_port()}"
    first = start_server("--redis-url", store_url, environment={"KEEPWELL_METRICS_LISTEN": page})
    with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError) as refused:
        start_server(
            *("--redis-url", store_url, "--processes", processes),
            environment={"KEEPWELL_METRICS_LISTEN": page},
            stderr=log.fileno(),
        )
    assert refused.value.args == (1,)
    assert (tmp_path / "log").read_text() == f"cannot serve: metrics_listen {page}: Address already in use\n"
    assert first.stop() == 0
