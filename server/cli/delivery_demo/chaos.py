"""Kills processes of the demo at random, for as long as it is asked to."""

import random
import threading
from collections import Counter

import redis

from server.cli.delivery_demo.processes import KILLABLE, Processes

PAUSE_SECONDS = (0.5, 3.0)


class Chaos:
    """Kills in a thread of its own until it is stopped.

    Args:
        processes: Whose.
        seed: The same seed kills the same ones in the same order.

    """

    def __init__(self, processes: Processes, seed: int) -> None:
        self.kills: Counter[str] = Counter()
        self.error: Exception | None = None
        self._processes = processes
        self._random = random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self._random.uniform(*PAUSE_SECONDS)):
            name = self._random.choice(KILLABLE)
            try:
                self._processes.kill(name)
            except redis.ConnectionError:
                continue  # the store is still coming back from the last time
            except Exception as error:  # noqa: BLE001 (raised again where the demo ends)
                self.error = error
                return
            self.kills[name] += 1

    def stop(self) -> None:
        """Kill no more; raises what kept a process from coming back."""
        self._stopping.set()
        self._thread.join()
        if self.error:
            raise self.error
