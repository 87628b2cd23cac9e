import asyncio
import signal
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from grpc import aio
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc, feed_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as messages

from server.store.embedded import EmbeddedStore
from tests.conftest import Running, start_server

WATCHERS = 100
DECISIONS = 60  # in each of three phases
SOON_AGAIN = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 500)]


def expect_gone(error: aio.AioRpcError) -> None:
    """Raise the error unless it only says that the server went away; a call that outlives the drain is cancelled."""
    if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        raise error


class Cluster:
    """Two servers on one store, and channels to both."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._servers = [start_server("--redis-url", url) for _ in range(2)]
        self._channels = [aio.insecure_channel(server.address, SOON_AGAIN) for server in self._servers]
        self.feeds: list[Any] = [feed_service_pb2_grpc.FeedServiceStub(channel) for channel in self._channels]
        self._decisions: list[Any] = [decision_service_pb2_grpc.DecisionServiceStub(one) for one in self._channels]

    async def restart(self, number: int, how: int) -> None:
        await asyncio.to_thread(self._servers[number].stop, how)
        self._servers[number] = await asyncio.to_thread(self._start_again, self._servers[number])

    def _start_again(self, server: Running) -> Running:
        return start_server("--redis-url", self._url, port=int(server.address.rpartition(":")[2]))

    async def decide(self, tag: str) -> list[str]:
        """Decide one after the other, through whichever server answers; return the decisions in their order."""
        made = []
        for number in range(DECISIONS):
            request = decision_service_pb2.DecideRequest(
                request_id=f"{tag}-{number}", lead_id=f"lead-{number % 7}", churn_probability=0.5
            )
            turn = 0
            while True:
                try:
                    answer = await self._decisions[turn % 2].Decide(request)
                    break
                except aio.AioRpcError as error:
                    expect_gone(error)
                    turn += 1
                    await asyncio.sleep(0.01)
            made.append(answer.decision.decision_id)
        return made

    async def stop(self) -> None:
        for channel in self._channels:
            await channel.close()
        for server in self._servers:
            await asyncio.to_thread(server.stop)


class Watcher:
    """A client that keeps its token, and goes to the other server when its stream ends."""

    def __init__(self, cluster: Cluster, first: int) -> None:
        self._cluster = cluster
        self._turn = first
        self.found: list[str] = []
        self.streams = 0

    async def watch(self, count: int) -> None:
        token = ""
        while len(self.found) < count:
            start = messages.FeedStart(after=token) if token else messages.FeedStart(earliest=Empty())
            call = self._cluster.feeds[self._turn % 2].WatchDecisions(messages.WatchDecisionsRequest(start=start))
            self.streams += 1
            try:
                async for response in call:
                    self.found += [decision.decision_id for decision in response.decisions]
                    token = response.resume_token
                    if len(self.found) >= count:
                        return
            except aio.AioRpcError as error:
                expect_gone(error)
            self._turn += 1
            await asyncio.sleep(0.2)


async def rolling_restart(url: str, how: int) -> tuple[list[str], list[Watcher]]:
    cluster = Cluster(url)
    watchers = [Watcher(cluster, number) for number in range(WATCHERS)]
    try:
        watching = asyncio.gather(*(watcher.watch(3 * DECISIONS) for watcher in watchers))
        made = await cluster.decide("before")
        for number in (0, 1):
            restarted = asyncio.create_task(cluster.restart(number, how))
            made += await cluster.decide(f"during-{number}")
            await restarted
        await watching
    finally:
        await cluster.stop()
    return made, watchers


@pytest.mark.timeout(300)  # five server starts, whatever else the machine does
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_rolling_restart_under_a_hundred_streams_loses_nothing_and_repeats_nothing(tmp_path: Path, how: int) -> None:
    store = EmbeddedStore.start(tmp_path)
    try:
        made, watchers = asyncio.run(rolling_restart(store.url, how))
    finally:
        store.stop()
    assert len(set(made)) == 3 * DECISIONS
    assert all(watcher.found == made for watcher in watchers)
    assert sum(watcher.streams for watcher in watchers) >= 2 * WATCHERS  # every stream was on a server that went away
