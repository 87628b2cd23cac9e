"""Where a watcher's position is kept."""

import os
from pathlib import Path
from typing import Protocol


class TokenStore(Protocol):
    """Keeps one resume token.

    `save` is called when every decision up to the token has been handled. Write it together with what handling them wrote (one transaction of
    your database), and each decision takes effect exactly once.
    """

    def load(self) -> str | None:
        """Return the token; None before the first."""

    def save(self, token: str) -> None:
        """Replace the token; durable when this returns."""


class MemoryTokenStore:
    """Forgets with the process."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token

    def load(self) -> str | None:
        """Return the token."""
        return self._token

    def save(self, token: str) -> None:
        """Replace the token."""
        self._token = token


class FileTokenStore:
    """Keeps the token in a file, which is replaced as a whole."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)

    def load(self) -> str | None:
        """Return the token; None when there is no file."""
        return self._path.read_text() if self._path.exists() else None

    def save(self, token: str) -> None:
        """Replace the token; on the disk when this returns."""
        new = self._path.with_name(self._path.name + ".new")
        with new.open("w") as file:
            file.write(token)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or the new name may be lost with the power
        finally:
            os.close(folder)
