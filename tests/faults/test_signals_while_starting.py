"""Signals that come before the service is ready."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port


@pytest.fixture(params=["1", "2"])
def starting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A service of one process, or two, that has only just been started; its data are in `tmp_path / "data"`."""
    options = ["--processes", request.param, "--data-dir", str(tmp_path / "data")]
    command = [sys.executable, "-m", "server", "serve", "--listen", f"127.0.0.1:{free_port()}", *options]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as process:
        yield process
        process.kill()


def handling(process: "subprocess.Popen[bytes]", which: str) -> int:
    """Return the signals that a process handles so, a bit each."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(which)), 16)


def bit(number: signal.Signals) -> int:
    return 1 << (number - 1)


def until_reading_in(starting: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    """Return once the command runs, and has not begun to serve: from the first on it ignores SIGHUP."""
    while not handling(starting, "SigIgn:") & bit(signal.SIGHUP):
        assert not (tmp_path / "data").exists()
        time.sleep(0.001)


def test_a_reload_before_there_is_something_to_reload_is_none(
    starting: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    until_reading_in(starting, tmp_path)
    while not handling(starting, "SigCgt:") & bit(signal.SIGHUP):
        starting.send_signal(signal.SIGHUP)
        time.sleep(0.001)
    starting.send_signal(signal.SIGHUP)
    assert starting.stdout
    assert starting.stdout.readline().startswith(b"keepwell is ready on ")
    starting.terminate()
    assert starting.wait(30) == 0
    assert '"process_died"' not in (tmp_path / "log").read_text()


def test_an_interrupt_while_the_service_is_read_in_ends_it_without_a_traceback(
    starting: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    until_reading_in(starting, tmp_path)
    while handling(starting, "SigCgt:") & bit(signal.SIGINT):
        time.sleep(0.001)
    os.kill(starting.pid, signal.SIGINT)
    assert starting.wait(30) in {-signal.SIGINT, 130}
    assert (tmp_path / "log").read_text() == ""
