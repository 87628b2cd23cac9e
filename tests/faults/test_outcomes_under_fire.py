import asyncio
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
    outcome_service_pb2_grpc,
)
from keepwell.v1 import outcome_service_pb2 as messages

from server.store.connection import connect
from server.store.embedded import EmbeddedStore
from server.store.entry import parse_entry
from server.store.keys import Partition
from server.store.outcome_record import decode_outcome
from server.store.record import decode_inputs, decode_record
from tests.conftest import POLICIES, free_port, start_server
from tests.faults.test_limits_under_fire import TENANT, feed_of

LEAD, MOST = "hot", 3
CALLERS, EACH = 8, 60
METADATA = (("x-keepwell-tenant", TENANT),)
PARTITION = Partition(TENANT, 0)


def decide(addresses: list[str], caller: int) -> list[str]:
    """Ask for one decision after the other, each again until it is answered; return the interventions that were granted."""
    channels = [grpc.insecure_channel(address) for address in addresses]
    granted: list[str] = []
    for number in range(EACH):
        request = decision_service_pb2.DecideRequest(
            request_id=f"c{caller}-{number}", lead_id=LEAD, churn_probability=0.5
        )
        for attempt in range(400):
            stub = decision_service_pb2_grpc.DecisionServiceStub(channels[(caller + attempt) % len(channels)])
            try:
                decision = stub.Decide(request, metadata=METADATA, timeout=10).decision
            except grpc.RpcError:
                time.sleep(0.05)
                continue
            granted += [action.intervention_id for action in decision.interventions]
            break
        else:
            raise RuntimeError(f"{request.request_id} was never answered")
    for channel in channels:
        channel.close()
    return granted


class Reporter:
    """Follows the feed, and reports of every contact that it was not sent: four times at once, and again until each is answered."""

    def __init__(self, addresses: list[str]) -> None:
        self.granted: list[str] = []
        self.finished = Event()
        self._channels = [grpc.insecure_channel(address) for address in addresses]

    def run(self) -> None:
        token = ""
        with ThreadPoolExecutor(16) as pool:
            while not self.finished.is_set():
                token = self._follow(token, pool)
        for channel in self._channels:
            channel.close()

    def _follow(self, token: str, pool: ThreadPoolExecutor) -> str:
        start = feed_service_pb2.FeedStart(after=token) if token else feed_service_pb2.FeedStart(earliest=Empty())
        request = feed_service_pb2.WatchDecisionsRequest(start=start, heartbeat=Duration(nanos=100_000_000))
        stub = feed_service_pb2_grpc.FeedServiceStub(self._channels[-1])
        try:
            for response in stub.WatchDecisions(request, metadata=METADATA, timeout=60):
                token = response.resume_token
                granted = [a.intervention_id for decision in response.decisions for a in decision.interventions]
                self.granted += granted
                for name in granted * 4:
                    pool.submit(self._report, name)
                if response.checkpoint and self.finished.is_set():
                    break
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017 (the store was killed: resumed)
        return token

    def _report(self, name: str) -> None:
        outcome = messages.Outcome(
            outcome_id=f"of-{name}",
            intervention_id=name,
            outcome=decision_pb2.INTERVENTION_OUTCOME_FAILED,
            was_sent=False,
        )
        for attempt in range(400):
            stub = outcome_service_pb2_grpc.OutcomeServiceStub(self._channels[attempt % len(self._channels)])
            try:
                (ack,) = stub.ReportOutcomes(
                    messages.ReportOutcomesRequest(outcomes=[outcome]), metadata=METADATA, timeout=10
                ).acks
            except grpc.RpcError:
                time.sleep(0.05)
                continue
            assert ack.status.code == 0
            return
        raise RuntimeError(f"{name} was never answered")


def logs(url: str) -> tuple[list[Any], list[Any]]:
    """Return the entries of the decision log and of the outcome log."""

    async def read() -> tuple[list[Any], list[Any]]:
        store = connect(url, timeout_seconds=5)
        try:
            return await store.commit.xrange(PARTITION.log), await store.commit.xrange(PARTITION.outcomes)
        finally:
            await store.aclose()

    return asyncio.run(read())


@pytest.mark.parametrize("victim", ["server", "store"])
def test_a_kill_in_the_middle_neither_loses_nor_repeats_what_is_given_back(tmp_path: Path, victim: str) -> None:
    store = EmbeddedStore.start(tmp_path)
    options = ["--redis-url", store.url, "--policy-dir", str(POLICIES)]
    first = start_server(*options)
    second = start_server(*options, port=free_port())
    addresses = [first.address, second.address]
    reporter = Reporter(addresses)
    with ThreadPoolExecutor(CALLERS + 1) as pool:
        reporting = pool.submit(reporter.run)
        callers = [pool.submit(decide, addresses, caller) for caller in range(CALLERS)]
        feed_of(second.address, LEAD, CALLERS * EACH // 3)  # now it is in the middle
        if victim == "server":
            first.stop(signal.SIGKILL)
        else:
            os.kill(store.pid or 0, signal.SIGKILL)
            deadline = time.monotonic() + 20
            while not store.ensure_running():
                assert time.monotonic() < deadline
        granted = [name for caller in callers for name in caller.result(90)]
        feed_of(second.address, LEAD, CALLERS * EACH)
        reporter.finished.set()
        reporting.result(60)
    decisions, outcomes = logs(store.url)
    given_back = Counter(
        messages.Outcome.FromString(entry.report).intervention_id
        for entry in (decode_outcome(fields[b"o"]) for _, fields in outcomes)
        if entry.given_back
    )
    assert len(granted) > 2 * MOST  # what was given back was granted again
    assert sorted(reporter.granted) == sorted(granted)
    assert given_back == Counter(granted)
    for entry in map(parse_entry, decisions):
        before = decode_record(decode_inputs(entry.inputs, LEAD, "").record).state.contacts
        after = len(decision_pb2.Decision.FromString(entry.decision).interventions)
        assert len(before) + after <= MOST
    if victim == "store":
        assert first.stop() == 0
    assert second.stop() == 0
    store.stop()
