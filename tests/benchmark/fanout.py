"""`python -m tests.benchmark.fanout`: what a decision costs on its way to each of a hundred watchers, as a ratio to a bare send.

One server decides, another on the same store feeds the watchers, so that its CPU time is the feed's alone. The yardstick sends the same bytes
in messages of as many decisions. Every watcher has to get every decision, or the run ends.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil
from google.protobuf.empty_pb2 import Empty
from grpc import aio
from keepwell.v1 import feed_service_pb2 as messages

from server.store.embedded import EmbeddedStore
from tests.benchmark.load import LEADS, requests, stream

WATCHERS, DECISIONS, DECIDED_AT_ONCE = 100, 2_048, 256
DECIDER_PORT, FEEDER_PORT, BARE_PORT = 21_061, 21_062, 21_063
WATCH = "/keepwell.v1.FeedService/WatchDecisions"
DECISION = 0x0A  # the tag of a decision in a message that carries many


class Served:
    """A process that said that it is ready."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        if not self.process.stdout or not self.process.stdout.readline():
            raise RuntimeError(f"{command[0]} did not start")

    def cpu_seconds(self) -> float:
        """Return the CPU time so far."""
        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(30)


def decisions_in(body: bytes) -> int:
    """Return how many decisions a message holds, without reading them."""
    count = place = 0
    while place < len(body) and body[place] == DECISION:
        place, shift, length = place + 1, 0, 0
        while True:
            byte = body[place]
            length |= (byte & 0x7F) << shift
            place, shift = place + 1, shift + 7
            if byte < 0x80:
                break
        place, count = place + length, count + 1
    return count


class Watchers:
    """A hundred streams, one connection each, that count what they get."""

    def __init__(self, port: int) -> None:
        self._channels = [aio.insecure_channel(f"127.0.0.1:{port}", [("n", n)]) for n in range(WATCHERS)]
        self._calls: list[Any] = []
        self.messages = 0
        self.largest = b""

    async def open(self) -> None:
        """Return once every stream has had its first message."""
        start = messages.FeedStart(latest=Empty())
        request = messages.WatchDecisionsRequest(start=start).SerializeToString()
        for channel in self._channels:
            watch: Any = channel.unary_stream(WATCH)
            call = watch(request)
            await call.read()
            self._calls.append(call)

    async def read(self, decisions: int) -> None:
        """Return once every stream has had so many decisions."""

        async def one(call: Any) -> None:
            got = 0
            while got < decisions:
                body = await call.read()
                got += decisions_in(body)
                self.messages += 1
                if len(body) > len(self.largest):
                    self.largest = body

        await asyncio.gather(*map(one, self._calls))

    async def close(self) -> None:
        """Leave."""
        for call in self._calls:
            call.cancel()
        for channel in self._channels:
            await channel.close()


async def feed_cost(feeder: Served, turn: int) -> tuple[float, bytes, float]:
    """Return the feed's CPU microseconds for each decision delivered, its largest message, and the decisions in a message."""
    watchers = Watchers(FEEDER_PORT)
    await watchers.open()
    before = feeder.cpu_seconds()
    portfolio = stream(f"127.0.0.1:{DECIDER_PORT}", requests(DECISIONS, LEADS, f"f{turn}"), DECIDED_AT_ONCE)
    await asyncio.gather(portfolio, watchers.read(DECISIONS))
    spent = feeder.cpu_seconds() - before
    await watchers.close()
    delivered = WATCHERS * DECISIONS
    return spent / delivered * 1e6, watchers.largest, delivered / watchers.messages


async def bare_cost(folder: Path, body: bytes) -> float:
    """Return a bare send's CPU microseconds for each decision."""
    each = decisions_in(body)
    count = max(DECISIONS // each, 1)
    (folder / "body").write_bytes(body)
    bare = Served("tests.benchmark.bare_feed", str(BARE_PORT), str(folder / "body"), str(count))
    try:
        watchers = Watchers(BARE_PORT)
        await watchers.open()
        before = bare.cpu_seconds()
        async with aio.insecure_channel(f"127.0.0.1:{BARE_PORT}") as channel:
            go: Any = channel.unary_unary("/keepwell.v1.FeedService/Go")
            await asyncio.gather(go(b""), watchers.read(each * count))
        spent = bare.cpu_seconds() - before
        await watchers.close()
        return spent / (WATCHERS * each * count) * 1e6
    finally:
        bare.stop()


def message_of(body: bytes, decisions: float) -> bytes:
    """Return a message with so many of another's decisions, its token left out."""
    whole = messages.WatchDecisionsResponse.FromString(body)
    return messages.WatchDecisionsResponse(decisions=whole.decisions[: round(decisions)]).SerializeToString()


def measure(rounds: int) -> dict[str, list[float]]:
    """Return every figure of every round; feed and yardstick take turns."""
    found: dict[str, list[float]] = {"fan-out": [], "bare fan-out": [], "fan-out ratio": [], "decisions a message": []}
    with tempfile.TemporaryDirectory(prefix="kwf") as name:
        folder = Path(name)
        store = EmbeddedStore.start(folder / "store")
        serve = ("server", "serve", "--redis-url", store.url, "--listen")
        servers = [Served(*serve, f"127.0.0.1:{port}") for port in (DECIDER_PORT, FEEDER_PORT)]
        try:
            for turn in range(rounds):
                feed, largest, decisions = asyncio.run(feed_cost(servers[1], turn))
                bare = asyncio.run(bare_cost(folder, message_of(largest, decisions)))
                row = (feed, bare, feed / bare, decisions)
                for figures, figure in zip(found.values(), row, strict=True):
                    figures.append(figure)
        finally:
            for server in servers:
                server.stop()
            store.stop()
    return found


if __name__ == "__main__":
    for figure, values in measure(3).items():
        print(f"{figure:20} {statistics.median(values):8.2f}   {min(values):.2f} to {max(values):.2f}")
