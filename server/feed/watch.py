"""One watcher: pages of the past until it has caught up, then what the follower reads; checkpoints in between.

Everything sent up to a message's token was sent; a checkpoint is never ahead of data. Watchers of one filter that stand at the same place
share the whole step from there to the next message: selected, serialised and sealed once.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple

from server.errors import ResumeTokenExpiredError
from server.feed.item import FeedFilter, FeedItem, MakeItems
from server.feed.tail import Follower, is_expired, moved, read_page, trimmed_position
from server.feed.token import Position, order
from server.store.connection import Store
from server.store.keys import Partition

DRAIN_CHECK_SECONDS = 0.25


class Batch(NamedTuple):
    """A message as it is sent, and the token in it."""

    message: bytes
    token: str


class Step(NamedTuple):
    """Where a step leads, and what is to be sent of it; no batch when the filter lets nothing through."""

    batch: Batch | None
    position: Position
    live_at: int | None  # the follower's count there; None when the watcher reads pages of its own


Render = Callable[[list[FeedItem], Position], Batch]


class Watch:
    """Yields batches for one watcher until `draining` is set."""

    def __init__(
        self,
        client: Store,
        tenant: str,
        partitions: Sequence[Partition],
        follower: Follower,
        make_items: MakeItems,
        wanted: FeedFilter,
        render: Render,
        heartbeat_seconds: float,
        draining: asyncio.Event,
    ) -> None:
        self._client = client
        self._tenant = tenant
        self._partitions = partitions
        self._follower = follower
        self._make_items = make_items
        self._wanted = wanted
        self._render = render
        self._heartbeat = heartbeat_seconds
        self._draining = draining
        self._live: tuple[Position, int] = ((), 0)  # a position, and the follower's count there

    async def batches(self, position: Position) -> AsyncIterator[Batch]:
        """Yield everything after a position, then whatever is new, for as long as it is read."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        yield self._render([], position)
        while not self._draining.is_set():
            step = await self._next(position, sent_at + self._heartbeat - loop.time())
            position = step.position
            if step.live_at is not None:
                self._live = (position, step.live_at)
            if step.batch is not None:
                yield step.batch
            elif loop.time() >= sent_at + self._heartbeat:
                yield self._render([], position)
            else:
                continue
            sent_at = loop.time()

    async def _next(self, position: Position, patience: float) -> Step:
        count = self._count_of(position)
        if count is None:
            return await self._page(position)
        if not await self._follower.wait(count, max(0.0, min(patience, DRAIN_CHECK_SECONDS))):
            return Step(None, position, count)
        return self._follower.shared(self._wanted, count, position, self._step)

    async def _page(self, position: Position) -> Step:
        if is_expired(position, await trimmed_position(self._client, self._partitions)):
            raise ResumeTokenExpiredError("", "")
        items, position = await read_page(self._client, self._tenant, self._partitions, position, self._make_items)
        return Step(self._batch(items, position), position, None)

    def _step(self, count: int, position: Position) -> Step:
        entries = self._follower.since(count)
        fresh = []
        for place, item in entries:
            # After joining in the middle of the window, another partition's items may have been read already.
            if order(item.log_id) > order(position[place]):
                fresh.append(item)
                position = moved(position, place, item.log_id)
        return Step(self._batch(fresh, position), position, count + len(entries))

    def _batch(self, items: list[FeedItem], position: Position) -> Batch | None:
        wanted = [item for item in items if self._wanted.passes(item)]
        return self._render(wanted, position) if wanted else None

    def _count_of(self, position: Position) -> int | None:
        """Return the follower's count at a position; None when the watcher has to read pages of its own."""
        if self._live[0] == position and self._live[1] >= self._follower.base:
            return self._live[1]
        return self._follower.count_at(position)
