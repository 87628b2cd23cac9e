import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc, feed_service_pb2, feed_service_pb2_grpc

from tests.conftest import free_port, start_server

DECISIONS = 4_096


def portfolio() -> Iterator[messages.DecideStreamRequest]:
    for first in range(0, DECISIONS, 256):
        yield messages.DecideStreamRequest(
            requests=[
                messages.DecideRequest(request_id=f"r{n}", lead_id=f"lead{n}", churn_probability=0.5)
                for n in range(first, first + 256)
            ]
        )


def until_no_watcher_is_left(page: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if "keepwell_watchers 0.0" in urllib.request.urlopen(f"http://{page}/metrics").read().decode():
            return
        time.sleep(0.05)
    raise AssertionError("the slow watcher is still there")


def ids(responses: Iterator[feed_service_pb2.WatchDecisionsResponse], found: list[str]) -> None:
    for response in responses:
        found += [decision.decision_id for decision in response.decisions]
        if len(found) >= DECISIONS:
            return


def test_a_watcher_that_stops_reading_is_ended_and_its_token_loses_nothing(tmp_path: Path) -> None:
    page = f"127.0.0.1:{free_port() + 1}"
    environment = {"KEEPWELL_WRITE_STALL_SECONDS": "0.5", "KEEPWELL_METRICS_LISTEN": page}
    server = start_server("--data-dir", str(tmp_path), environment=environment)
    with grpc.insecure_channel(server.address, options=[("grpc.http2.bdp_probe", 0)]) as channel:
        decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        assert sum(len(answer.results) for answer in decisions.DecideStream(portfolio())) == DECISIONS
        feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        start = feed_service_pb2.FeedStart(earliest=Empty())
        stalled = feed.WatchDecisions(feed_service_pb2.WatchDecisionsRequest(start=start))
        found: list[str] = []
        next(stalled)
        until_no_watcher_is_left(page)
        with pytest.raises(grpc.RpcError) as error:
            ids(stalled, found)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        info = ErrorInfo()
        for detail in rpc_status.from_call(cast("grpc.Call", error.value)).details:
            detail.Unpack(info)
        assert info.reason == "SLOW_READER"
        assert len(found) < DECISIONS
        again = feed_service_pb2.FeedStart(after=info.metadata["last_token"])
        ids(feed.WatchDecisions(feed_service_pb2.WatchDecisionsRequest(start=again), timeout=30), found)
    assert (len(found), len(set(found))) == (DECISIONS, DECISIONS)
    assert server.stop() == 0
