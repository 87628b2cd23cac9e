"""Reading the log for watchers: pages of the past, and one follower a tenant for what is new.

The follower keeps a bounded window of the newest items. A watcher that falls behind it reads its own pages from the store
until it has caught up, so a slow one costs neither memory nor anybody else's time.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

import structlog

from server.feed.item import FeedItem, MakeItems, split_items
from server.feed.token import Position, order
from server.store.connection import Store
from server.store.entry import parse_entry
from server.store.keys import Partition
from server.turns import take_turns

PAGE = 256
WINDOW = 8_192
BLOCK_MS = 1_000
SHARED = 8  # a message of 256 decisions is a megabyte, or two
Made = TypeVar("Made")
log = structlog.get_logger()


class Follower:
    """Follows one tenant's log from now on; `base` and `head` count items since it was started.

    The window holds everything that lies after `floor` and up to `position`.
    """

    def __init__(self, client: Store, tenant: str, partitions: Sequence[Partition], make_items: MakeItems) -> None:
        self._client = client
        self._tenant = tenant
        self._partitions = partitions
        self._make_items = make_items
        self._window: deque[tuple[int, FeedItem]] = deque()
        self._changed = asyncio.Condition()
        self.head = 0
        self.position: Position = ()
        self._floor: Position = ()
        self._task: asyncio.Task[None] | None = None
        self.wakes: set[asyncio.Event] = set()  # set whenever there is something new
        self._shared: dict[tuple[object, int, Position], Any] = {}

    async def start(self) -> None:
        """Note where the log ends, and follow it from there."""
        self.position = self._floor = await newest_position(self._client, self._partitions)
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def base(self) -> int:
        """The count of the oldest item that is still at hand."""
        return self.head - len(self._window)

    def since(self, count: int) -> list[tuple[int, FeedItem]]:
        """Return a message's items from a count on, each with its partition's place; the count must not be below `base`."""
        start = count - self.base
        page = list(islice(self._window, start, start + PAGE))
        return page[split_items([item for _, item in page])[0]]

    def count_at(self, position: Position) -> int | None:
        """Return the count of the first item after a position; None when the window does not reach back so far."""
        if any(order(place) < order(floor) for place, floor in zip(position, self._floor, strict=True)):
            return None
        for ahead, (place, item) in enumerate(self._window):
            if order(item.log_id) > order(position[place]):
                return self.base + ahead
        return self.head

    def shared(self, what: object, count: int, position: Position, make: Callable[[int, Position], Made]) -> Made:
        """Return what was made for this place before, or make it; the newest few are kept."""
        key = (what, count, position)
        if key not in self._shared:
            while len(self._shared) >= SHARED:
                del self._shared[next(iter(self._shared))]
            self._shared[key] = make(count, position)
        made: Made = self._shared[key]
        return made

    async def wait(self, count: int, seconds: float) -> bool:
        """Return whether there is an item at `count`, after waiting for it at most so long."""
        async with self._changed:
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: self.head > count)
            except TimeoutError:
                return False
        return True

    async def _follow(self) -> None:
        await take_turns("feed", self._read, idle_seconds=0, trouble_seconds=0.2)

    async def _read(self) -> bool:
        """Read what is new, after waiting for it; return that there may be more."""
        streams = {p.log: log_id for p, log_id in zip(self._partitions, self.position, strict=True)}
        replies = await self._client.xread(streams, count=PAGE, block=BLOCK_MS)
        places = {partition.log.encode(): place for place, partition in enumerate(self._partitions)}
        for name, entries in replies or ():
            place = places[name]
            items = await self._make_items(self._tenant, [parse_entry(entry) for entry in entries])
            async with self._changed:
                self._window.extend((place, item) for item in items)
                self.head += len(items)
                while len(self._window) > WINDOW:
                    dropped, oldest = self._window.popleft()
                    self._floor = moved(self._floor, dropped, oldest.log_id)
                self.position = moved(self.position, place, items[-1].log_id)
                self._changed.notify_all()
            for wake in self.wakes:
                wake.set()
        return True


def moved(position: Position, place: int, log_id: str) -> Position:
    """Return a position with one partition further on."""
    return (*position[:place], log_id, *position[place + 1 :])


async def newest_position(client: Store, partitions: Sequence[Partition]) -> Position:
    """Return the end of every partition's log."""
    pipeline = client.pipeline(transaction=False)
    for partition in partitions:
        pipeline.xrevrange(partition.log, count=1)
    replies = await pipeline.execute()
    return tuple(reply[0][0].decode() if reply else "0-0" for reply in replies)


async def trimmed_position(client: Store, partitions: Sequence[Partition]) -> Position:
    """Return the last log id that retention removed, of every partition."""
    trimmed = await client.mget([partition.trimmed for partition in partitions])
    return tuple(log_id.decode() if log_id else "0-0" for log_id in trimmed)


def is_expired(position: Position, trimmed: Position) -> bool:
    """Return whether retention removed something that follows the position."""
    # XREAD skips trimmed entries without a word, so the last one removed is remembered and compared.
    return any(order(place) < order(last) for place, last in zip(position, trimmed, strict=True))


async def read_page(
    client: Store, tenant: str, partitions: Sequence[Partition], position: Position, make_items: MakeItems
) -> tuple[list[FeedItem], Position]:
    """Return the next items after a position, at most a message's a partition, and the position after them."""
    pipeline = client.pipeline(transaction=False)
    for partition, log_id in zip(partitions, position, strict=True):
        pipeline.xrange(partition.log, min=f"({log_id}", max="+", count=PAGE)
    found: list[FeedItem] = []
    for place, entries in enumerate(await pipeline.execute()):
        if entries:
            page = await make_items(tenant, [parse_entry(entry) for entry in entries])
            items = page[split_items(page)[0]]
            position = moved(position, place, items[-1].log_id)
            found += items
    return found, position
