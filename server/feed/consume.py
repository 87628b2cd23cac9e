"""One consumer of a subscription: takes what it has room for, and waits for more.

Nothing is queued here: what is taken is written before more is taken, and what is written and not acknowledged is the store's to count.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from server.errors import SubscriptionNotFoundError
from server.feed.item import FeedFilter, FeedItem, MakeItems, split_items
from server.feed.tail import Follower
from server.metrics import DELIVERIES
from server.store.connection import Store
from server.store.keys import Partition
from server.store.subscriptions import (
    Gap,
    Handed,
    Settlement,
    Subscription,
    Taken,
    Terms,
    find_subscription,
    settle,
    take,
)

DRAIN_CHECK_SECONDS = 0.25
FULL_SECONDS = 0.25  # another process may have been told that there is room again
QUIET_SECONDS = 1.0  # another process may have been given something back
PRESENCE_SECONDS = 20.0  # the store has to hear of each consumer now and then, or it takes it for gone
NOTHING = Taken([], None, 0, 1, None)


class Handout(NamedTuple):
    """What one message carries: items with their attempts, and a gap before them."""

    epoch: int
    items: list[tuple[int, FeedItem]]
    gap: Gap | None


def handouts_of(epoch: int, items: list[tuple[int, FeedItem]], gap: Gap | None) -> Iterator[Handout]:
    """Yield what was taken, as much a message as fits into one; the gap goes first."""
    for message in split_items([item for _, item in items]):
        if items or gap is not None:
            yield Handout(epoch, items[message], gap)
        gap = None


class Share:
    """What the consumers of one subscription in this process know together, so that only one of them asks when there is nothing."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self.wakes: set[asyncio.Event] = set()
        self.stirs = 0
        self._dry_at = (-1, -1)  # the follower's count and the stirs when there was nothing to take
        self.ask_again_at = 0.0

    def is_dry(self, head: int, now: float) -> bool:
        """Return whether there can be nothing new since somebody asked."""
        return self._dry_at == (head, self.stirs) and now < self.ask_again_at

    def found_dry(self, head: int, stirs: int, ask_again_at: float) -> None:
        """Note that there was nothing to take when asking began."""
        self._dry_at, self.ask_again_at = (head, stirs), ask_again_at

    def stir(self) -> None:
        """Have everybody ask: something was settled."""
        self.stirs += 1
        for wake in self.wakes:
            wake.set()


class Shares:
    """The shares of the subscriptions that have consumers in this process."""

    def __init__(self) -> None:
        self._shares: dict[tuple[str, str], Share] = {}
        self._consumers: Counter[tuple[str, str]] = Counter()

    @contextlib.contextmanager
    def share(self, tenant: str, subscription: str) -> Iterator[Share]:
        """Yield a subscription's share; the last consumer to leave removes it."""
        which = (tenant, subscription)
        self._consumers[which] += 1
        try:
            yield self._shares.setdefault(which, Share())
        finally:
            self._consumers[which] -= 1
            if not self._consumers[which]:
                del self._consumers[which], self._shares[which]

    def stir(self, tenant: str, subscription: str) -> None:
        """Have a subscription's consumers ask again: something of it was settled or moved."""
        share = self._shares.get((tenant, subscription))
        if share is not None:
            share.stir()


class Consumer:
    """Yields handouts for one consumer until `draining` is set."""

    def __init__(
        self,
        client: Store,
        partition: Partition,
        subscription: Subscription,
        terms: Terms,
        wanted: FeedFilter,
        follower: Follower,
        share: Share,
        make_items: MakeItems,
        draining: asyncio.Event,
    ) -> None:
        self._client = client
        self._partition = partition
        self._subscription = subscription
        self._terms = terms
        self._wanted = wanted
        self._follower = follower
        self._share = share
        self._make_items = make_items
        self._draining = draining
        self._wake = asyncio.Event()
        self._asked_at = 0.0
        # The share's stirs when there was no room, and until when that is believed.
        self._full: tuple[int, float] = (-1, 0.0)

    async def handouts(self) -> AsyncIterator[Handout]:
        """Yield what there is, then what comes, for as long as it is read.

        Raises:
            SubscriptionNotFoundError: It was deleted.

        """
        for wakes in (self._follower.wakes, self._share.wakes):
            wakes.add(self._wake)
        try:
            while not self._draining.is_set():
                self._wake.clear()
                taken = await self._take()
                if taken is None:
                    await self._follow_seek()
                    continue
                for handout in handouts_of(self._subscription.epoch, await self._pass(taken.handed), taken.gap):
                    yield handout
                if not taken.handed and taken.gap is None:
                    await self._wait()
        finally:
            for wakes in (self._follower.wakes, self._share.wakes):
                wakes.discard(self._wake)

    async def _take(self) -> Taken | None:
        loop = asyncio.get_running_loop()
        async with self._share.asking:
            head = self._follower.head
            if self._is_full(loop.time()) or (
                self._share.is_dry(head, loop.time()) and loop.time() < self._asked_at + PRESENCE_SECONDS
            ):
                return NOTHING
            stirs, self._asked_at = self._share.stirs, loop.time()
            taken = await take(self._client, self._partition, self._subscription, self._terms)
            if taken is None:
                return None
            DELIVERIES.labels("dead_letter").inc(taken.buried)
            if not taken.handed and taken.room:
                wait = QUIET_SECONDS if taken.wait_ms is None else min(QUIET_SECONDS, taken.wait_ms / 1_000)
                self._share.found_dry(head, stirs, loop.time() + wait)
            elif not taken.handed:
                self._full = (stirs, loop.time() + FULL_SECONDS)
            return taken

    def _is_full(self, now: float) -> bool:
        return self._full[0] == self._share.stirs and now < self._full[1]

    async def _wait(self) -> None:
        until_return = self._share.ask_again_at - asyncio.get_running_loop().time()
        with contextlib.suppress(TimeoutError):
            # What comes back is asked for when it does; a moment that is over already was another consumer's to ask.
            async with asyncio.timeout(until_return if 0 < until_return < DRAIN_CHECK_SECONDS else DRAIN_CHECK_SECONDS):
                await self._wake.wait()

    async def _follow_seek(self) -> None:
        moved = await find_subscription(self._client, self._partition, self._subscription.name)
        if moved.filter_bytes != self._subscription.filter_bytes:  # deleted, and made again about something else
            raise SubscriptionNotFoundError(moved.name)
        self._subscription = moved

    async def _pass(self, handed: list[Handed]) -> list[tuple[int, FeedItem]]:
        """Return what the filter lets through; the rest is acknowledged on the consumer's behalf."""
        items = await self._make_items(self._partition.tenant, [one.entry for one in handed])
        pairs = [(one.attempt, item) for one, item in zip(handed, items, strict=True)]
        wanted = [pair for pair in pairs if self._wanted.passes(pair[1])]
        others = [
            Settlement(self._subscription.epoch, item.log_id, attempt)
            for attempt, item in pairs
            if not self._wanted.passes(item)
        ]
        if others:
            await settle(self._client, self._partition, self._subscription.name, others, None)
        DELIVERIES.labels("filtered").inc(len(others))
        DELIVERIES.labels("handed_out").inc(sum(attempt == 1 for attempt, _ in wanted))
        DELIVERIES.labels("handed_out_again").inc(sum(attempt > 1 for attempt, _ in wanted))
        return wanted
