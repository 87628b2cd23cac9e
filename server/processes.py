"""Several serving processes that share one port: started together, replaced when one dies, stopped together. This one serves nothing itself.

They die with this process, by the kernel's hand (`tethered.py`): one that outlived it would keep the port, without a store, and answer some of
the calls to whatever is started next.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator, Mapping

import structlog

from server.tethered import tethered

PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
STEADY_SECONDS = 30.0  # a process that lived so long is none of those that die again and again
STOPS = (signal.SIGTERM, signal.SIGINT)
CLOSING_SECONDS = 10.0  # after the drain, with a store that does not answer
log = structlog.get_logger()


class PortTakenError(Exception):
    """Another service listens there."""


@contextlib.contextmanager
def reserved(listen: str) -> Iterator[str]:
    """Hold an address for processes that share it; yield it with the port that it has (for port 0, one that is free).

    Raises:
        PortTakenError: Somebody has it; sharing it, each would get some of the other's calls.

    """
    host, _, port = listen.rpartition(":")
    family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # calls that have just ended do not count
        try:
            alone.bind(address)
        except OSError as error:
            raise PortTakenError(f"{listen}: {error.strerror}") from error
        address = alone.getsockname()
    with socket.socket(family, kind) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(address)  # does not listen, so it is sent nothing
        yield f"{host}:{address[1]}"


def next_pause(last_seconds: float | None, lived_seconds: float) -> float:
    """Return how many seconds to wait before a process that lived so long is replaced; `last_seconds` is the wait before it, None: the first.

    Twice as long each time, as one that dies again and again must not take the machine: starting is most of what it would do.
    """
    if last_seconds is None or lived_seconds >= STEADY_SECONDS:
        return PAUSE_SECONDS
    return min(2 * last_seconds, LONGEST_PAUSE_SECONDS)


def tell(process: Process, number: signal.Signals) -> None:
    """Return once a process is sent a signal, unless it has ended.

    The own `send_signal` of Python 3.11 looks first whether the process has ended; when it has only just, that takes the exit code away
    from whoever waits for it, who then reports 255.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


class Processes:
    """So many serving processes, which take their settings from the environment."""

    def __init__(
        self, count: int, environment: Mapping[str, str], drain_seconds: float, died: Callable[[int], None]
    ) -> None:
        self._count = count
        self._environment = environment
        self._stop_seconds = drain_seconds + CLOSING_SECONDS
        self._died = died  # told the id of a process that did
        self._running: set[Process] = set()
        self._ready: set[Process] = set()  # of these
        self._stopping = asyncio.Event()

    async def run(self, ready: Callable[[], None]) -> int:
        """Serve until told to stop; return the worst exit code. Unless all come up at first, none goes on."""
        loop = asyncio.get_running_loop()
        for number in (*STOPS, signal.SIGHUP):
            loop.add_signal_handler(number, self._pass_on, number)
        started = await asyncio.gather(*(self._start() for _ in range(self._count)))
        if all(is_ready for _, is_ready in started):
            ready()
        else:
            self._pass_on(signal.SIGTERM)
        return max(await asyncio.gather(*(self._keep(process) for process, _ in started)))

    def _pass_on(self, number: signal.Signals) -> None:
        if number in STOPS:
            self._stopping.set()
            asyncio.get_running_loop().call_later(self._stop_seconds, self._kill_who_is_left)
        # To reload, one that is still starting has no need, and would die of it.
        for process in self._running if number in STOPS else self._ready:
            tell(process, number)

    def _kill_who_is_left(self) -> None:
        """End what hangs: it would keep the service from ending, and what comes after it from starting."""
        for process in self._running:
            log.error("process_killed", pid=process.pid)
            tell(process, signal.SIGKILL)

    async def _start(self) -> tuple[Process, bool]:
        """Return a new process, and whether it says that it is ready; else it has ended, or soon will have."""
        command = tethered(sys.executable, "-m", "server.supervise")
        process = await asyncio.create_subprocess_exec(*command, env=self._environment, stdout=PIPE)
        self._running.add(process)
        if self._stopping.is_set():  # it was not there yet when the others were told
            tell(process, signal.SIGTERM)
        line = await process.stdout.readline() if process.stdout else b""
        if line:
            self._ready.add(process)
        return process, bool(line)

    async def _keep(self, process: Process) -> int:
        """Replace a process whenever it dies; return the last one's exit code once all are to stop."""
        clock = asyncio.get_running_loop().time
        started_at = clock()
        pause_seconds: float | None = None
        while True:
            code = await process.wait()
            pause_seconds = next_pause(pause_seconds, clock() - started_at)
            self._running.discard(process)
            self._ready.discard(process)
            if self._stopping.is_set():
                return 0 if -code in STOPS else abs(code)  # told to stop before it could listen to that
            log.error("process_died", pid=process.pid, exit_code=code, again_in_seconds=pause_seconds)
            self._died(process.pid)
            replaced = await self._replace(pause_seconds)
            if replaced is None:
                return 0
            process, pause_seconds = replaced
            started_at = clock()

    async def _replace(self, pause_seconds: float) -> tuple[Process, float] | None:
        """Return another process after a pause, and how long that was in the end; None: all are to stop before there is one."""
        while not await self._stops_within(pause_seconds):
            try:
                process, is_ready = await self._start()
            except OSError as error:  # no memory, process or file left just now; those that run serve on
                pause_seconds = next_pause(pause_seconds, 0.0)
                log.error("process_not_started", error=str(error), again_in_seconds=pause_seconds)  # noqa: TRY400 (the reason is the message)
                continue
            if is_ready:
                log.info("process_replaced", pid=process.pid)
            return process, pause_seconds
        return None

    async def _stops_within(self, seconds: float) -> bool:
        """Return whether all are told to stop before so much time has passed."""
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True
