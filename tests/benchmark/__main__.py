"""`python -m tests.benchmark`: what a decision costs, as ratios to two echoes measured in the same run. Never part of the tests.

CPU time of the server and of its store, over all threads, divided by decisions; the yardstick and the service take turns, and the median of the
rounds is printed with its range. Python itself counts: one built without optimisation, as pyenv builds it by default, takes a third longer for
everything but the echoes' own transport. A wrong answer, or a feed that is not as long as what was answered, ends the run.
"""

import argparse
import asyncio
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import psutil
import redis
from keepwell.v1.decision_service_pb2 import DecideRequest
from rich.console import Console
from rich.table import Table

from server.native import check_compiled
from tests.benchmark import fanout
from tests.benchmark.latency import event_to_watcher
from tests.benchmark.load import LEADS, introduce, one, requests, stream, unary

IN_FLIGHT, STREAM_SIZE = 64, 256
EVENT_LEADS, EVENT_LEADS_PER_SECOND = 400, 50.0
KEEPWELL_PORT, BARE_PORT, LEAN_PORT = 21_051, 21_052, 21_053


class Measured:
    """A server whose CPU time, and its store's, can be read."""

    def __init__(self, command: list[str], address: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.address = address
        if not self.process.stdout or not self.process.stdout.readline():
            raise RuntimeError(f"{command[0]} did not start")

    def cpu_seconds(self) -> tuple[float, float]:
        """Return the CPU time of the server and of its store so far."""
        server = psutil.Process(self.process.pid)
        store = sum(sum(child.cpu_times()[:2]) for child in server.children())
        return sum(server.cpu_times()[:2]), store

    def stop(self) -> None:
        """End the server."""
        self.process.terminate()
        self.process.wait(30)


def cost(server: Measured, run: Callable[[], int]) -> tuple[float, float]:
    """Return the CPU microseconds of server and store for each thing that a run did."""
    before = server.cpu_seconds()
    count = run()
    after = server.cpu_seconds()
    return (after[0] - before[0]) / count * 1e6, (after[1] - before[1]) / count * 1e6


def measure(calls: int, rounds: int, folder: str) -> dict[str, list[float]]:
    """Return every figure of every round."""
    service = ["server", "serve", "--data-dir", folder, "--listen", f"127.0.0.1:{KEEPWELL_PORT}"]
    keepwell = Measured(service, f"127.0.0.1:{KEEPWELL_PORT}")
    servers = [keepwell]
    try:
        answer = Path(folder) / "answer"
        answer.write_bytes(asyncio.run(one(keepwell.address)))
        for kind, port in (("bare", BARE_PORT), ("lean", LEAN_PORT)):
            command = ["tests.benchmark.echo", str(port), str(answer), kind]
            servers.append(Measured(command, f"127.0.0.1:{port}"))
        asyncio.run(introduce(keepwell.address, LEADS))
        asyncio.run(unary(keepwell.address, requests(200, LEADS, "warm"), IN_FLIGHT))
        found = rounds_of(keepwell, servers[1], servers[2], calls, rounds)
        found["bytes a lead"], found["bytes a due entry"] = _bytes_a_lead(Path(folder))
        return found
    finally:
        for server in servers:
            server.stop()


def rounds_of(keepwell: Measured, bare: Measured, lean: Measured, calls: int, rounds: int) -> dict[str, list[float]]:
    """Return every figure of every round; the servers take turns."""
    rows = [_round(keepwell, bare, lean, calls, turn) for turn in range(rounds)]
    return {name: [row[name] for row in rows] for name in rows[0]}


def _round(keepwell: Measured, bare: Measured, lean: Measured, calls: int, turn: int) -> dict[str, float]:
    ask = partial(_unary, messages=requests(calls, LEADS, f"u{turn}"))
    plain = cost(bare, partial(ask, bare.address))[0]
    least = cost(lean, partial(ask, lean.address))[0]
    server, store = cost(keepwell, partial(ask, keepwell.address))
    many = requests(calls * 2, LEADS, f"s{turn}")
    batch, batch_store = cost(keepwell, lambda: asyncio.run(stream(keepwell.address, many, STREAM_SIZE)))
    explained = requests(calls * 2, LEADS, f"x{turn}", explain=True)
    why = cost(keepwell, lambda: asyncio.run(stream(keepwell.address, explained, STREAM_SIZE)))[0]
    events = asyncio.run(event_to_watcher(keepwell.address, f"e{turn}", EVENT_LEADS, EVENT_LEADS_PER_SECOND))
    single = requests(100, LEADS, f"p{turn}")
    return {
        "bare echo": plain,
        "lean echo": least,
        "unary": server,
        "unary store": store,
        "unary / bare echo": (server + store) / plain,
        "unary / lean echo": (server + store) / least,
        "stream": batch,
        "stream store": batch_store,
        "stream, both": batch + batch_store,
        "explain": why - batch,  # what a decision in a stream costs the server more with its factors
        "event to watcher p50": statistics.median(events),
        "event to watcher p99": events[int(len(events) * 0.99)],
        "p50 bare echo": statistics.median(asyncio.run(unary(bare.address, single, 1))),
        "p50 unary": statistics.median(asyncio.run(unary(keepwell.address, single, 1))),
    }


def _unary(address: str, messages: Sequence[DecideRequest]) -> int:
    return len(asyncio.run(unary(address, messages, IN_FLIGHT)))


def _bytes_a_lead(folder: Path) -> tuple[list[float], list[float]]:
    """Return the store's memory for one lead's record, key included, over all leads that a call described, and for its next review."""
    client = redis.Redis(unix_socket_path=str(folder.resolve() / "store" / "store.sock"))
    sizes = [client.memory_usage(key) or 0 for key in client.scan_iter("{default/0}:lead:lead-*", count=1_000)]
    due = (client.memory_usage("{default/0}:due") or 0) / max(int(client.zcard("{default/0}:due")), 1)
    client.close()
    return [statistics.mean(sizes)], [due]


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=2_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    modules = check_compiled()
    with tempfile.TemporaryDirectory(prefix="kwb") as folder:
        found = measure(given.calls, given.rounds, folder) | fanout.measure(given.rounds)
    run = f"{given.rounds} rounds of {given.calls:,} calls; CPU microseconds, milliseconds, bytes"
    title = f"{run}; Python {platform.python_version()}, {modules} of the road's modules compiled"
    table = Table("figure", "median", "range", title=title)
    for name, values in found.items():
        table.add_row(name, f"{statistics.median(values):.2f}", f"{min(values):.2f} to {max(values):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
