"""`python -m tests.benchmark.instructions`: how many instructions a streamed decision takes the server and its store; needs valgrind.

Processor time moves by half with what else a machine does; this repeats within one in a hundred, so it tells a change of a few in a hundred
from chance. It says nothing of caches: compare it with itself alone, and times with times. Of the first decisions after a start more are new
to the service than later, as of any it has not seen yet.
"""

import argparse
import asyncio
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from server.native import check_compiled
from tests.benchmark.load import introduce, requests, stream

LEADS, WARM, SIZE, PORT = 1_000, 4_096, 256, 21_059


@contextmanager
def counted(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Run a service whose instructions can be counted; yield its address, its process and its store's."""
    address = f"127.0.0.1:{PORT}"
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--trace-children=yes"]
    serve = [sys.executable, "-m", "server", "serve", "--data-dir", str(folder / "data"), "--listen", address]
    process = subprocess.Popen(
        [*valgrind, f"--callgrind-out-file={folder}/count.%p", *serve],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        if not process.stdout or not process.stdout.readline():
            raise RuntimeError("the service did not start")
        (store,) = psutil.Process(process.pid).children()
        yield address, process.pid, store.pid
    finally:
        process.terminate()
        process.wait(120)


def count(folder: Path, decisions: int) -> tuple[float, float]:
    """Return the instructions for each streamed decision, of the server and of its store."""
    with counted(folder) as (address, *pids):
        asyncio.run(introduce(address, LEADS))
        asyncio.run(stream(address, requests(WARM, LEADS, "warm"), SIZE))
        many = requests(decisions, LEADS, "counted")
        _counting("on", pids)
        asyncio.run(stream(address, many, SIZE))
        _counting("off", pids)
    server, store = (_total(folder / f"count.{pid}") / decisions for pid in pids)
    return server, store


def _counting(state: str, pids: list[int]) -> None:
    for pid in pids:
        subprocess.run(["callgrind_control", "-i", state, str(pid)], check=True, capture_output=True)


def _total(profile: Path) -> int:
    (line,) = (line for line in profile.read_text().splitlines() if line.startswith("totals:"))
    return int(line.split()[1])


def main() -> None:
    """Count, and print both."""
    options = argparse.ArgumentParser()
    options.add_argument("--decisions", type=int, default=4_096)
    given = options.parse_args()
    modules = check_compiled()
    with tempfile.TemporaryDirectory(prefix="kwi") as folder:
        server, store = count(Path(folder), given.decisions)
    print(f"{server:,.0f} instructions a decision, and {store:,.0f} of the store")
    print(f"{given.decisions:,} streamed decisions; Python {platform.python_version()}, {modules} modules compiled")


if __name__ == "__main__":
    main()
