"""The demo's processes: a store, a server and two delivery workers, each of which can be killed at any time and comes back."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import redis

from server.cli.free_port import free_port

WORKERS = ("worker 1", "worker 2")
KILLABLE = (*WORKERS, "server", "store")
END_SECONDS = 60.0
HERE = Path(__file__).parent
# The fork handlers of gRPC would only warn: what is started here never uses its parent's connections.
FORK_SUPPORT = {"GRPC_ENABLE_FORK_SUPPORT": "0"}
# The accounts at the end need every decision of the days that were played.
KEEP_ALL = {"KEEPWELL_LOG_RETENTION_HOURS": "9600"}


class NotStartedError(Exception):
    """A process ended instead of saying that it is ready; carries the end of its log."""


class Processes:
    """All of them, started; `close` ends them.

    Args:
        folder: Their data and logs.
        settings: The workers' configuration.
        variables: What it says is in the environment.

    """

    def __init__(self, folder: Path, settings: dict[str, object], variables: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {**os.environ, **FORK_SUPPORT, **KEEP_ALL, **variables}
        (folder / "delivery.yaml").write_text(json.dumps(settings))  # JSON is YAML
        self.address = f"127.0.0.1:{free_port()}"
        self._running: dict[str, subprocess.Popen[str]] = {}
        try:
            self._store_url = self._start("store", "server.cli.delivery_demo.store", str(folder / "data"))
            for name in ("server", *WORKERS):
                self._launch(name)
        except NotStartedError:
            self.close()
            raise

    def _launch(self, name: str) -> None:
        if name == "server":
            options = ["--listen", self.address, "--redis-url", self._store_url, "--clock", "manual"]
            self._start(name, "server", "serve", *options, "--policy", str(HERE / "policy.yaml"))
        else:
            self._start(name, "server.cli.delivery_demo.worker", self.address, str(self._folder))

    def _start(self, name: str, module: str, *arguments: str) -> str:
        """Return the first line that the process says, when it is ready."""
        path = self._folder / f"{name}.log"
        with path.open("a") as log:
            command = [sys.executable, "-m", module, *arguments]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=self._environment)
        self._running[name] = process
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise NotStartedError(f"{name} did not start:\n{path.read_text()[-2_000:]}")
        return line.strip()

    def kill(self, name: str) -> None:
        """Kill a process without a warning, and start it again; the store is started again by the process that keeps it.

        Raises:
            redis.ConnectionError: The store is not there to be killed.
            NotStartedError: It did not come back.

        """
        if name == "store":
            with redis.Redis.from_url(self._store_url) as client:
                os.kill(client.info("server")["process_id"], signal.SIGKILL)
            return
        process = self._running[name]
        process.kill()
        process.communicate()
        self._launch(name)

    def stop_workers(self) -> None:
        """Let the workers finish what is in hand, and end them."""
        for name in WORKERS:
            self._end(name)

    def _end(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is not None:
            process.terminate()
            process.communicate(timeout=END_SECONDS)

    def close(self) -> None:
        """End everything, the store last."""
        for name in (*WORKERS, "server", "store"):
            self._end(name)
