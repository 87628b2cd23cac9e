"""The export: follows every tenant's decision log and writes it down, each decision exactly once.

It reads the store, not the feed: `VerifyDecision` needs the inputs of a decision, and those hold profiles that no rpc may carry. Where it
stands is what its files' names say, so a kill at any moment costs no more than an unfinished file, which the next run removes.
"""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import structlog

from server.cold.layout import day_of, exported_to, path_of
from server.cold.table import write_file
from server.feed.token import order
from server.store.connection import Store
from server.store.entry import LogEntry, parse_entry
from server.store.keys import PARTITIONS, TENANTS_KEY, Partition

PAGE = 500
log = structlog.get_logger()


class ExportLockedError(Exception):
    """Another export writes to the folder."""


class Written(NamedTuple):
    """One file that was written; `gap` says that retention removed decisions before it that were never exported."""

    tenant: str
    path: Path
    decisions: int
    gap: bool


class PageEntry(NamedTuple):
    """An entry as it was read; `after_gap` says that retention removed something between it and the one before."""

    entry: LogEntry
    after_gap: bool


@contextmanager
def sole_writer(root: Path) -> Iterator[None]:
    """Hold the folder for this process, and remove what a killed one left unfinished; raises ExportLockedError."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (root / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ExportLockedError(f"another export writes to {root}") from error
        for unfinished in root.glob("tenant=*/day=*/.*.unfinished"):
            unfinished.unlink()
        yield


class Export:
    """Writes what is new to a folder."""

    def __init__(self, client: Store, root: Path, decisions_a_file: int) -> None:
        self._client = client
        self._root = root
        self._most = decisions_a_file
        self._positions: dict[str, str] = {}

    async def turn(self) -> AsyncIterator[Written]:
        """Write every tenant's new decisions; yield each file."""
        for name in sorted(await self._client.smembers(TENANTS_KEY)):
            for number in range(PARTITIONS):
                async for written in self._tenant(Partition(name.decode(), number)):
                    yield written

    async def _tenant(self, partition: Partition) -> AsyncIterator[Written]:
        tenant = partition.tenant
        if tenant not in self._positions:
            self._positions[tenant] = await asyncio.to_thread(exported_to, self._root, tenant)
        while entries := await self._read(partition, self._positions[tenant]):
            for _, of_day in groupby(entries, key=lambda page_entry: day_of(page_entry.entry.log_id)):
                yield await self._write(tenant, list(of_day))

    async def _read(self, partition: Partition, after: str) -> list[PageEntry]:
        """Return up to a file's worth of entries after a log id."""
        found: list[PageEntry] = []
        while len(found) < self._most:
            async with self._client.pipeline(transaction=True) as pipeline:
                pipeline.get(partition.trimmed)
                pipeline.xrange(partition.log, min=f"({after}", max="+", count=min(PAGE, self._most - len(found)))
                trimmed, replies = await pipeline.execute()
            if not replies:
                break
            # Read in one step with the page, or retention could remove something between the two without a word.
            gap = trimmed is not None and order(trimmed.decode()) > order(after)
            if gap:
                log.warning("export_missed_decisions", tenant=partition.tenant, after=after, through=trimmed.decode())
            found += [PageEntry(parse_entry(reply), gap and place == 0) for place, reply in enumerate(replies)]
            after = found[-1].entry.log_id
        return found

    async def _write(self, tenant: str, page: list[PageEntry]) -> Written:
        entries = [page_entry.entry for page_entry in page]
        path = path_of(self._root, tenant, entries[0].log_id, entries[-1].log_id)
        await asyncio.to_thread(write_file, path, entries)
        self._positions[tenant] = entries[-1].log_id
        return Written(tenant, path, len(entries), any(page_entry.after_gap for page_entry in page))
