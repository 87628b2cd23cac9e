"""The embedded store: a real Redis-compatible server as a private child process, so that nothing has to be installed by hand.

It has a folder of its own with an append-only file that is synced before every answer, listens on a private unix socket only, and dies with its
parent. A lock keeps two services from sharing the folder.
"""

import fcntl
import os
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

import structlog

from server.store.binary import find_binary
from server.tethered import tethered

START_SECONDS = 10.0
STOP_SECONDS = 10.0
LONGEST_SOCKET_PATH = 100
ANSWERS, LOADS = b"+PONG", b"-LOADING"
# A commit makes and frees thousands of small objects. The server carries no allocator of its own, and glibc's keeps seven of a size at hand:
# with more the store takes a quarter less time (measured), and 9 MB. Other C libraries ignore it.
TUNABLES = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=4000"}
log = structlog.get_logger()


class StoreStartError(Exception):
    """The embedded store did not come up."""


class StoreLockedError(Exception):
    """Another service holds the folder."""


def configuration(folder: Path, socket_path: Path) -> dict[str, str]:
    """Return the server's settings; durability first: every answer waits for the disk."""
    return {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "aof-use-rdb-preamble": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": str(folder / "store.log"),
        "daemonize": "no",
    }


class EmbeddedStore:
    """A running store; `stop` it, or leave it to die with this process."""

    def __init__(self, folder: Path, binary: str, lock: IO[str]) -> None:
        self._folder = folder
        self._binary = binary
        self._lock = lock
        self._socket = _socket_path(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self.ending = threading.Event()  # once it is set, nobody waits for the store any more

    @classmethod
    def start(cls, folder: Path, binary: str | None = None) -> "EmbeddedStore":
        """Return a store that answers, on the data that the folder holds.

        Raises:
            StoreStartError: There is no server program, or it did not come up.
            StoreLockedError: Another service holds the folder.

        """
        program = find_binary(binary)
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            holder = lock.read().strip()
            lock.close()
            raise StoreLockedError(f"{folder} is in use by process {holder}") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        store = cls(folder, program, lock)
        try:
            store._launch()
        except StoreStartError:
            store.stop()
            raise
        return store

    @property
    def url(self) -> str:
        """Where the store listens, as a client takes it."""
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        """The child's process id; None when it is not running."""
        return None if self._process is None else self._process.pid

    def ensure_running(self) -> bool:
        """Start the child again if it has died, on the same data; return whether that was needed."""
        if self._process is None or (code := self._process.poll()) is None:
            return False
        # By itself it ends when the disk is full or broken; its own log says so, and nobody looks there without a reason.
        log.error("store_died", pid=self.pid, exit_code=code, its_log_ends=self._log_tail())
        self._launch()
        return True

    def _launch(self) -> None:
        self._socket.unlink(missing_ok=True)
        options = [
            part for name, value in configuration(self._folder, self._socket).items() for part in (f"--{name}", value)
        ]
        self._process = subprocess.Popen(
            tethered(self._binary, *options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=TUNABLES | os.environ,
            start_new_session=True,  # Ctrl-C is for us: we stop it after the last call
        )
        deadline = time.monotonic() + START_SECONDS
        while (said := _said(self._socket)) != ANSWERS:
            late = time.monotonic() > deadline
            if self._process.poll() is not None or self.ending.is_set() or (late and said != LOADS):
                raise StoreStartError(f"the store did not come up; its log ends:\n{self._log_tail()}")
            if late:  # how long it loads depends on how much it holds
                log.warning("store_loading", pid=self.pid)
                deadline = time.monotonic() + START_SECONDS
            time.sleep(0.005)

    def _log_tail(self) -> str:
        path = self._folder / "store.log"
        return path.read_text(errors="replace")[-1_000:] if path.exists() else "(empty)"

    def stop(self) -> None:
        """Stop the child; everything that was answered is on the disk already."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        self._socket.unlink(missing_ok=True)
        self._lock.close()


def _socket_path(folder: Path) -> Path:
    path = folder / "store.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        return path
    return Path(tempfile.mkdtemp(prefix="keepwell-")) / "store.sock"


def _said(path: Path) -> bytes:
    """Return ANSWERS, LOADS while it loads its data, or whatever else the store says; nothing when it does not."""
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1.0)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(64).split()[0]
    except (OSError, IndexError):
        return b""
