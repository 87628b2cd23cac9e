"""Worker processes, as an operator starts and a crash ends them."""

import os
import signal
import subprocess
import sys
from threading import Event

from keepwell.v1.feed_service_pb2 import ListSubscriptionsRequest
from keepwell_client import Client

from tests.delivery.desk import Desk

PATIENCE_SECONDS = 60


class Workers:
    """Worker processes of one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._started: list[subprocess.Popen[str]] = []

    def start(self) -> "subprocess.Popen[str]":
        """Return a worker that said it is ready."""
        desk = self._desk
        options = ["--server", desk.address, "--tenant", desk.tenant, "--config", str(desk.file())]
        command = [sys.executable, "-m", "keepwell_delivery.command", *options]
        with (desk.folder / "worker.log").open("a") as log:
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        self._started.append(worker)
        assert worker.stdout
        assert worker.stdout.readline() == "keepwell-deliver is ready\n"
        return worker

    def kill(self) -> None:
        """Kill the newest."""
        os.kill(self._started[-1].pid, signal.SIGKILL)

    def finish(self) -> None:
        """End all of them, after what is in hand."""
        while self._started:
            worker = self._started.pop()
            worker.terminate()
            worker.communicate(timeout=PATIENCE_SECONDS)


def until_done(desk: Desk) -> None:
    """Wait until the subscription has nothing left."""
    pause = Event()
    with Client(desk.address, desk.tenant) as client:
        for _ in range(PATIENCE_SECONDS * 10):
            found = client.call(client.feed.ListSubscriptions, ListSubscriptionsRequest()).subscriptions
            if found and (found[0].lag, found[0].unacknowledged) == (0, 0):
                return
            pause.wait(0.1)
    raise AssertionError((desk.folder / "worker.log").read_text())
