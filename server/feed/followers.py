"""One follower a tenant, as long as somebody wants it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

from server.feed.item import MakeItems
from server.feed.tail import Follower
from server.store.connection import Store
from server.store.keys import Partition


class Followers:
    """Starts a tenant's follower for the first who wants it, and stops it after the last."""

    def __init__(self, blocking: Store, make_items: MakeItems, partitions: int) -> None:
        self._blocking = blocking
        self._make_items = make_items
        self._partitions = partitions
        self._running: dict[str, Follower] = {}
        self._wanted: Counter[str] = Counter()
        self._starting = asyncio.Lock()

    def partitions(self, tenant: str) -> list[Partition]:
        """Return the tenant's partitions."""
        return [Partition(tenant, number) for number in range(self._partitions)]

    @contextlib.asynccontextmanager
    async def following(self, tenant: str) -> AsyncIterator[Follower]:
        """Yield the tenant's follower; the last to leave stops it, or it would read on for nobody."""
        async with self._starting:
            if tenant not in self._running:
                follower = Follower(self._blocking, tenant, self.partitions(tenant), self._make_items)
                await follower.start()
                self._running[tenant] = follower
            self._wanted[tenant] += 1
        try:
            yield self._running[tenant]
        finally:
            self._wanted[tenant] -= 1
            if not self._wanted[tenant]:
                del self._wanted[tenant]
                await self._running.pop(tenant).close()

    async def close(self) -> None:
        """Stop following every tenant's log."""
        for follower in self._running.values():
            await follower.close()
