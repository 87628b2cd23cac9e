"""The stream of escalations: those that are open, then every change.

Escalations are few and for people, so every watcher looks for changes by itself, a few times a second; nothing is kept for it here.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from keepwell.v1 import escalation_service_pb2 as messages

from server.caller import Caller
from server.convert.checks import rfc3339
from server.convert.escalation import escalation_message
from server.errors import ResumeTokenExpiredError, SlowReaderError
from server.feed.token import Position, TokenSealer, filter_digest, load_sealer, order
from server.rpc import Context
from server.services.store_errors import store_errors
from server.store.connection import Store
from server.store.escalations import Entry, read_changes, read_entries, read_places
from server.store.keys import PARTITIONS, Partition

PAGE = 256
LOOK_SECONDS = 0.25
HEARTBEAT_SECONDS = 15.0
KIND = filter_digest(b"escalations")  # what binds a token to this stream
START = "0-0"


class Page(NamedTuple):
    """Some escalations, and the position after them; None while the open ones are not all sent."""

    entries: Sequence[Entry]
    position: Position | None


class EscalationWatch:
    """Serves the stream until the caller leaves or the server drains."""

    def __init__(self, client: Store, stall_seconds: float, draining: asyncio.Event) -> None:
        self._client = client
        self._stall = stall_seconds
        self._draining = draining
        self._sealer: TokenSealer | None = None

    async def watch_escalations(
        self, request: messages.WatchEscalationsRequest, caller: Caller, context: Context
    ) -> None:
        """Stream the escalations that are open, then every change; with a token, every change after it."""
        partitions = [Partition(caller.tenant, number) for number in range(PARTITIONS)]
        with store_errors():
            sealer = self._sealer = self._sealer or await load_sealer(self._client)
            if request.resume_token:
                position = sealer.open(caller.tenant, KIND, request.resume_token)
            else:
                # The end of the log first: what changes while the open ones are read then comes twice, rather than never.
                position = await self._ends(partitions)
                async for page in self._open(partitions, position):
                    await self._send(context, page, sealer, caller.tenant)
            async for page in self._changes(partitions, position, sealer, caller.tenant):
                await self._send(context, page, sealer, caller.tenant)

    async def _ends(self, partitions: Sequence[Partition]) -> Position:
        ends = [await self._client.xrevrange(partition.escalation_log, count=1) for partition in partitions]
        return tuple(end[0][0].decode() if end else START for end in ends)

    async def _open(self, partitions: Sequence[Partition], position: Position) -> AsyncIterator[Page]:
        """Yield those that are open, oldest first; only the last page has a position, or a caller could resume in the middle."""
        places: list[str] = []
        while page := await read_places(self._client, partitions, places[-1] if places else "", PAGE, only_open=True):
            places += page
        places.reverse()
        starts = range(0, max(len(places), 1), PAGE)
        for start in starts:
            entries = await read_entries(self._client, partitions, places[start : start + PAGE])
            yield Page(entries, position if start == starts[-1] else None)

    async def _changes(
        self, partitions: Sequence[Partition], position: Position, sealer: TokenSealer, tenant: str
    ) -> AsyncIterator[Page]:
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        while not self._draining.is_set():
            entries: list[Entry] = []
            places = []
            for partition, after in zip(partitions, position, strict=True):
                changes, last = await read_changes(self._client, partition, after, PAGE)
                # Read first, compared afterwards: entries that go in between were read.
                await self._check_retained(partition, after, sealer, tenant)
                entries += changes
                places.append(last)
            position = tuple(places)
            if entries or loop.time() >= sent_at + HEARTBEAT_SECONDS:
                yield Page(entries, position)
                sent_at = loop.time()
            else:
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._draining.wait()
        except TimeoutError:
            return

    async def _check_retained(self, partition: Partition, after: str, sealer: TokenSealer, tenant: str) -> None:
        trimmed = (await self._client.get(partition.escalation_log_trimmed) or START.encode()).decode()
        if order(after) < order(trimmed):
            raise ResumeTokenExpiredError(sealer.seal(tenant, KIND, (trimmed,)), rfc3339(order(trimmed)[0]))

    async def _send(self, context: Context, page: Page, sealer: TokenSealer, tenant: str) -> None:
        token = "" if page.position is None else sealer.seal(tenant, KIND, page.position)
        escalations = [escalation_message(entry.case, entry.lead_id) for entry in page.entries]
        response = messages.WatchEscalationsResponse(escalations=escalations, resume_token=token)
        try:
            async with asyncio.timeout(self._stall):
                await context.write(response.SerializeToString())
        except TimeoutError as error:
            raise SlowReaderError(token) from error
