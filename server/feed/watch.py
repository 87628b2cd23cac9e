"""One watcher: pages of the past until it has caught up, then what the follower reads; checkpoints in between.

Everything sent up to a message's token was sent; a checkpoint is never ahead of data.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from server.errors import ResumeTokenExpiredError
from server.feed.item import FeedFilter, FeedItem, MakeItems
from server.feed.tail import Follower, is_expired, moved, read_page, trimmed_position
from server.feed.token import Position, order
from server.store.connection import Store
from server.store.keys import Partition

DRAIN_CHECK_SECONDS = 0.25


class Batch(NamedTuple):
    """Some items, and the position after them; without items it is a checkpoint."""

    items: list[FeedItem]
    position: Position


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
        heartbeat_seconds: float,
        draining: asyncio.Event,
    ) -> None:
        self._client = client
        self._tenant = tenant
        self._partitions = partitions
        self._follower = follower
        self._make_items = make_items
        self._wanted = wanted
        self._heartbeat = heartbeat_seconds
        self._draining = draining
        self._live: tuple[Position, int] = ((), 0)  # a position, and the follower's count there

    async def batches(self, position: Position) -> AsyncIterator[Batch]:
        """Yield everything after a position, then whatever is new, for as long as it is read."""
        loop = asyncio.get_running_loop()
        sent_at = loop.time()
        yield Batch([], position)
        while not self._draining.is_set():
            items, after = await self._next(position, sent_at + self._heartbeat - loop.time())
            wanted = [item for item in items if self._wanted.passes(item)]
            position = after
            if wanted or loop.time() >= sent_at + self._heartbeat:
                yield Batch(wanted, position)
                sent_at = loop.time()

    async def _next(self, position: Position, patience: float) -> tuple[list[FeedItem], Position]:
        count = self._count_of(position)
        if count is None:
            if is_expired(position, await trimmed_position(self._client, self._partitions)):
                raise ResumeTokenExpiredError("", "")
            return await read_page(self._client, self._tenant, self._partitions, position, self._make_items)
        if not await self._follower.wait(count, max(0.0, min(patience, DRAIN_CHECK_SECONDS))):
            return [], position
        entries = self._follower.since(count)
        # After joining in the middle of the window, another partition's items may have been read already.
        fresh = [item for place, item in entries if order(item.log_id) > order(position[place])]
        for place, item in entries:
            if order(item.log_id) > order(position[place]):
                position = moved(position, place, item.log_id)
        self._live = (position, count + len(entries))
        return fresh, position

    def _count_of(self, position: Position) -> int | None:
        """Return the follower's count at a position; None when the watcher has to read pages of its own."""
        if self._live[0] == position and self._live[1] >= self._follower.base:
            return self._live[1]
        return self._follower.count_at(position)
