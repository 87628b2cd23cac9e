"""Real parts only: a real store, real server processes, real gRPC."""

import os
import random
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from server.native import ChangedSinceCompiledError, check_compiled
from server.policies import SHIPPED
from server.store.embedded import EmbeddedStore

POLICIES = Path(__file__).parent / "integration" / "policies"
Start = Callable[..., "Running"]


def pytest_sessionstart() -> None:
    """Refuse to test compiled modules that were changed since: what is written would not be what is tested."""
    # What a shell runs in the background ignores this signal, and so would every server that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        check_compiled()
    except ChangedSinceCompiledError as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


class NotReadyError(Exception):
    """The server ended instead of saying that it is ready; carries its exit code."""


class Running:
    """A `keepwell serve` process."""

    def __init__(self, process: subprocess.Popen[str], address: str) -> None:
        self.process = process
        self.address = address

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        code = self.process.wait(30)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def free_port() -> int:
    """Return a port that nobody listens on, below those that the system hands out by itself; any, since other runs look here, too."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no free port")


def start_server(
    *options: str, port: int | None = None, environment: dict[str, str] | None = None, stderr: int | None = None
) -> Running:
    """Return a server that said it is ready; on port 0 it has one that the system chose."""
    address = f"127.0.0.1:{free_port() if port is None else port}"
    command = [sys.executable, "-m", "server", "serve", "--listen", address, *options]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        env={**os.environ, "KEEPWELL_LOG_LEVEL": "error", **(environment or {})},
    )
    line = process.stdout.readline() if process.stdout else ""
    said, _, address = line.strip().partition(" on ")
    if said != "keepwell is ready":
        process.communicate()
        raise NotReadyError(process.returncode)
    return Running(process, address)


def nobody_held_back(folder: Path) -> Path:
    """Return the default policy without its holdout, as a file."""
    policy = folder / "default.yaml"
    policy.write_text(SHIPPED.read_text().replace("holdout: {percent: 5,", "holdout: {percent: 0,"))
    return policy


@pytest.fixture(scope="session")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store of the whole test run: an embedded one, or yours at KEEPWELL_TEST_REDIS_URL."""
    given = os.environ.get("KEEPWELL_TEST_REDIS_URL")
    if given:
        yield given
        return
    store = EmbeddedStore.start(tmp_path_factory.mktemp("store"))
    yield store.url
    store.stop()


@pytest.fixture(scope="session")
def server(store_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a manual clock; tenants without a policy of their own have the default, held back from nobody."""
    common = nobody_held_back(tmp_path_factory.mktemp("policy"))
    options = ["--clock", "manual", "--policy", str(common), "--policy-dir", str(POLICIES)]
    # Its tests move the clock by days and count decisions: reviews have a server of their own.
    running = start_server("--redis-url", store_url, *options, environment={"KEEPWELL_REVIEWS": "false"})
    yield running.address
    assert running.stop() == 0


@pytest.fixture
def channel(server: str) -> Iterator[grpc.Channel]:
    """A channel to the server."""
    with grpc.insecure_channel(server) as opened:
        yield opened


@pytest.fixture
def tenant() -> str:
    """A tenant that nobody else uses."""
    return f"t{uuid.uuid4().hex[:12]}"
