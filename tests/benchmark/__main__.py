"""`python -m tests.benchmark`: what a decision costs, as ratios to a bare echo measured in the same run. Never part of the tests.

CPU time of the server and of its store, over all threads, divided by decisions; the yardstick and the service take turns, and the median of the
rounds is printed with its range. A wrong answer, or a feed that is not as long as what was answered, ends the run.
"""

import argparse
import asyncio
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

from tests.benchmark.load import requests, stream, unary

IN_FLIGHT, STREAM_SIZE = 64, 256
KEEPWELL_PORT, ECHO_PORT = 21_051, 21_052


class Measured:
    """A server whose CPU time, and its store's, can be read."""

    def __init__(self, command: list[str], address: str) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", *command], stdout=subprocess.PIPE, text=True)
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
    log = ["--data-dir", folder, "--listen", f"127.0.0.1:{KEEPWELL_PORT}"]
    keepwell = Measured(["server", "serve", *log], f"127.0.0.1:{KEEPWELL_PORT}")
    echo = Measured(["tests.benchmark.echo", str(ECHO_PORT), "3000"], f"127.0.0.1:{ECHO_PORT}")
    try:
        asyncio.run(unary(keepwell.address, requests(200, 1_000, "warm"), IN_FLIGHT, check=True))
        found = rounds_of(keepwell, echo, calls, rounds)
        found["bytes a lead"] = [_bytes_a_lead(Path(folder))]
        return found
    finally:
        keepwell.stop()
        echo.stop()


def rounds_of(keepwell: Measured, echo: Measured, calls: int, rounds: int) -> dict[str, list[float]]:
    """Return every figure of every round; the two servers take turns."""
    found: dict[str, list[float]] = {
        name: []
        for name in ("echo", "unary", "unary store", "ratio", "stream", "stream store", "p50 echo", "p50 unary")
    }
    for turn in range(rounds):
        ask = partial(_unary, messages=requests(calls, 20_000, f"u{turn}"))
        plain = cost(echo, partial(ask, echo.address, check=False))[0]
        server, store = cost(keepwell, partial(ask, keepwell.address, check=True))
        many = requests(calls * 2, 20_000, f"s{turn}")
        batch, batch_store = cost(keepwell, lambda: asyncio.run(stream(keepwell.address, many, STREAM_SIZE)))  # noqa: B023
        single = requests(100, 20_000, f"p{turn}")
        p50_echo = statistics.median(asyncio.run(unary(echo.address, single, 1, check=False)))
        p50 = statistics.median(asyncio.run(unary(keepwell.address, single, 1, check=True)))
        row = (plain, server, store, (server + store) / plain, batch, batch_store, p50_echo, p50)
        for name, value in zip(found, row, strict=True):
            found[name].append(value)
    return found


def _unary(address: str, messages: Sequence[DecideRequest], *, check: bool) -> int:
    return len(asyncio.run(unary(address, messages, IN_FLIGHT, check=check)))


def _bytes_a_lead(folder: Path) -> float:
    """Return the store's memory for one lead's record, key included, over a sample."""
    client = redis.Redis(unix_socket_path=str(folder.resolve() / "store" / "store.sock"))
    sizes = [client.memory_usage(key) or 0 for key in client.scan_iter("{default/0}:lead:*", count=1_000)]
    client.close()
    return statistics.mean(sizes)


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--calls", type=int, default=2_000)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kwb") as folder:
        found = measure(given.calls, given.rounds, folder)
    table = Table(
        "figure",
        "median",
        "range",
        title=f"{given.rounds} rounds of {given.calls:,} calls; CPU microseconds, milliseconds, bytes",
    )
    for name, values in found.items():
        table.add_row(name, f"{statistics.median(values):.2f}", f"{min(values):.2f} to {max(values):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
