"""FeedService.WatchDecisions: the tenant's decisions as a stream. The subscriptions of the same service are beside it."""

import asyncio
from collections.abc import Mapping

from keepwell.v1 import feed_service_pb2 as messages

from server.caller import Caller
from server.convert.feed import filter_bytes, watch_of
from server.convert.pieces import embedded
from server.errors import ResumeTokenExpiredError, SlowReaderError
from server.feed.followers import Followers
from server.feed.item import FeedItem, MakeItems
from server.feed.token import Position, filter_digest
from server.feed.watch import Batch, Watch
from server.metrics import WATCHERS
from server.rpc import Context, Handler
from server.services.feed_start import Starts
from server.services.store_errors import store_errors
from server.store.connection import Store

CHECKPOINT = b"\x10\x01"


class FeedService:
    """Hands out the tenant's decisions."""

    def __init__(
        self,
        client: Store,
        followers: Followers,
        starts: Starts,
        make_items: MakeItems,
        stall_seconds: float,
        draining: asyncio.Event,
    ) -> None:
        self._client = client
        self._followers = followers
        self._starts = starts
        self._make_items = make_items
        self._stall = stall_seconds
        self._draining = draining

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {"WatchDecisions": self.watch_decisions}

    async def watch_decisions(self, request: messages.WatchDecisionsRequest, caller: Caller, context: Context) -> None:
        """Stream decisions until the caller leaves or the server drains."""
        wanted, heartbeat = watch_of(request)
        digest = filter_digest(filter_bytes(request.filter))
        partitions = self._followers.partitions(caller.tenant)
        with WATCHERS.track_inprogress(), store_errors("; resume with the last token"):
            sealer = await self._starts.sealer()

            def render(items: list[FeedItem], position: Position) -> Batch:
                token = sealer.seal(caller.tenant, digest, position)
                parts = [item.field for item in items] or [CHECKPOINT]
                return Batch(b"".join([*parts, embedded(3, token.encode())]), token)

            position = await self._starts.position(request.start, caller.tenant, digest, partitions)
            async with self._followers.following(caller.tenant) as follower:
                watch = Watch(
                    self._client,
                    caller.tenant,
                    partitions,
                    follower,
                    self._make_items,
                    wanted,
                    render,
                    heartbeat,
                    self._draining,
                )
                try:
                    async for batch in watch.batches(position):
                        await self._send(context, batch)
                except ResumeTokenExpiredError:
                    raise await self._starts.expired(caller.tenant, digest, partitions) from None

    async def _send(self, context: Context, batch: Batch) -> None:
        try:
            async with asyncio.timeout(self._stall):
                await context.write(batch.message)
        except TimeoutError as error:
            raise SlowReaderError(batch.token) from error
