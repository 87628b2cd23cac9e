import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import feed_service_pb2, feed_service_pb2_grpc

from server.store.embedded import EmbeddedStore
from tests.conftest import POLICIES, free_port, start_server

HAMMER = Path(__file__).parent / "hammer.py"
TENANT = "three_a_day"


def hammer(addresses: list[str], lead: str, callers: int, each: int) -> list[subprocess.Popen[str]]:
    command = [sys.executable, str(HAMMER), ",".join(addresses), TENANT, lead]
    return [
        subprocess.Popen([*command, f"c{caller}", str(each)], stdout=subprocess.PIPE, text=True)
        for caller in range(callers)
    ]


def answers(callers: list[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    found = []
    for caller in callers:
        out, _ = caller.communicate(timeout=100)
        assert caller.returncode == 0
        found += [json.loads(line) for line in out.splitlines()]
    return found


def feed_of(address: str, lead: str, count: int) -> list[str]:
    """Return the decision ids that the feed delivers for a lead, from the beginning, until there are so many and none comes after."""
    request = feed_service_pb2.WatchDecisionsRequest(
        start=feed_service_pb2.FeedStart(earliest=Empty()),
        filter=feed_service_pb2.FeedFilter(lead_ids=[lead]),
        heartbeat=Duration(seconds=1),
    )
    found: list[str] = []
    with grpc.insecure_channel(address) as channel:
        stub = feed_service_pb2_grpc.FeedServiceStub(channel)
        call = stub.WatchDecisions(request, metadata=(("x-keepwell-tenant", TENANT),), timeout=60)
        for response in call:
            found += [decision.decision_id for decision in response.decisions]
            if response.checkpoint and len(found) >= count:
                call.cancel()
                return found
    return found


def test_2000_calls_at_once_on_one_lead_grant_exactly_its_three_contacts(store_url: str) -> None:
    options = ["--redis-url", store_url, "--policy-dir", str(POLICIES)]
    first = start_server(*options)
    second = start_server(*options, port=free_port())
    lead = f"hot-{os.getpid()}"
    found = answers(hammer([first.address, second.address], lead, callers=4, each=500))
    delivered = feed_of(first.address, lead, 2_000)
    assert len({answer["request"] for answer in found}) == 2_000
    assert sum(len(answer["granted"]) for answer in found) == 3
    assert sorted(delivered) == sorted(str(answer["decision"]) for answer in found)
    assert (first.stop(), second.stop()) == (0, 0)


@pytest.mark.parametrize("victim", ["server", "store"])
def test_a_kill_in_the_middle_neither_loses_nor_repeats_a_contact(tmp_path: Path, victim: str) -> None:
    store = EmbeddedStore.start(tmp_path)
    options = ["--redis-url", store.url, "--policy-dir", str(POLICIES)]
    first = start_server(*options)
    second = start_server(*options, port=free_port())
    callers = hammer([first.address, second.address], "hot", callers=4, each=500)
    feed_of(second.address, "hot", 300)  # now it is in the middle
    if victim == "server":
        first.stop(signal.SIGKILL)
    else:
        os.kill(store.pid or 0, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not store.ensure_running():
            assert time.monotonic() < deadline
    found = answers(callers)
    delivered = feed_of(second.address, "hot", 2_000)
    assert len({answer["request"] for answer in found}) == 2_000
    assert sum(len(answer["granted"]) for answer in found) == 3
    assert sorted(delivered) == sorted(str(answer["decision"]) for answer in found)
    if victim == "store":
        assert first.stop() == 0
    assert second.stop() == 0
    store.stop()
