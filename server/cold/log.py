"""Decisions that only the export still has, by log id and by their own id. A tenant's are looked for in its own folder alone."""

import asyncio
from pathlib import Path
from typing import Any

from server.cold.layout import day_of, files_of
from server.errors import DecisionNotFoundError
from server.feed.token import order
from server.store.entry import LogEntry


class ColdLog:
    """Reads exported decisions; with no folder there are none."""

    def __init__(self, root: Path | None) -> None:
        self._root = root

    async def by_log_id(self, tenant: str, log_id: str) -> LogEntry | None:
        """Return the entry with a log id; None when it was not exported."""
        return None if self._root is None else await asyncio.to_thread(_by_log_id, self._root, tenant, log_id)

    async def by_decision_id(self, tenant: str, decision_id: str) -> LogEntry:
        """Return a decision's entry; every file of the tenant may have to be looked at, the newest first.

        Raises:
            DecisionNotFoundError: It was not exported.

        """
        found = None
        if self._root is not None:
            found = await asyncio.to_thread(_by_decision_id, self._root, tenant, decision_id)
        if found is None:
            raise DecisionNotFoundError("there is no decision with this id")
        return found


def _read(path: Path, *wanted: tuple[str, str, Any]) -> LogEntry | None:
    from server.cold.table import read_entries

    entries = read_entries(path, wanted)
    return entries[0] if entries else None


def _by_log_id(root: Path, tenant: str, log_id: str) -> LogEntry | None:
    place = order(log_id)
    for file in files_of(root, tenant, day_of(log_id)):
        if order(file.first) <= place <= order(file.last):
            return _read(file.path, ("log_ms", "=", place[0]), ("log_sequence", "=", place[1]))
    return None


def _by_decision_id(root: Path, tenant: str, decision_id: str) -> LogEntry | None:
    for file in reversed(files_of(root, tenant)):
        found = _read(file.path, ("decision_id", "=", decision_id))
        if found is not None:
            return found
    return None
