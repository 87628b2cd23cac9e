"""FeedService's subscriptions: durable and named, and their work is shared among the consumers that ask for it."""

import asyncio
from collections.abc import Mapping, Sequence

from keepwell.v1 import feed_service_pb2 as messages

from server.caller import Caller
from server.convert.checks import Checker
from server.convert.feed import LONGEST_RETRY_SECONDS, delivery_bytes, filter_bytes, gap_bytes, seconds_of, terms_of
from server.errors import ConsumerStalledError, SubscriptionFilterMismatchError
from server.feed.consume import Consumer, Handout, Shares
from server.feed.delivery_id import DeliveryIdInvalidError, open_delivery, seal_delivery
from server.feed.followers import Followers
from server.feed.item import MakeItems
from server.feed.token import filter_digest
from server.metrics import CONSUMERS, DELIVERIES
from server.rpc import Context, Handler
from server.services.feed_start import Starts
from server.services.store_errors import store_errors
from server.store import subscriptions as store
from server.store.connection import Store
from server.store.keys import Partition

SETTLED_AT_ONCE = 1_000


class SubscriptionService:
    """Hands out work, and takes back what became of it."""

    def __init__(
        self,
        client: Store,
        followers: Followers,
        starts: Starts,
        shares: Shares,
        make_items: MakeItems,
        stall_seconds: float,
        draining: asyncio.Event,
    ) -> None:
        self._client = client
        self._followers = followers
        self._starts = starts
        self._shares = shares
        self._make_items = make_items
        self._stall = stall_seconds
        self._draining = draining

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {"Subscribe": self.subscribe, "Acknowledge": self.acknowledge, "Reject": self.reject}

    async def subscribe(self, request: messages.SubscribeRequest, caller: Caller, context: Context) -> None:
        """Stream deliveries until the caller leaves, the server drains, or the subscription is deleted."""
        wanted, terms = terms_of(request)
        tenant = caller.tenant
        with CONSUMERS.track_inprogress(), store_errors("; subscribe again"):
            subscription = await self._open(request, tenant)
            # The headers tell a caller that the subscription stands: what is decided from now on will be handed out.
            await context.send_initial_metadata(())
            key = (await self._starts.sealer()).key
            with self._shares.share(tenant, subscription.name) as share:
                async with self._followers.following(tenant) as follower:
                    consumer = Consumer(
                        self._client,
                        Partition(tenant, 0),
                        subscription,
                        terms,
                        wanted,
                        follower,
                        share,
                        self._make_items,
                        self._draining,
                    )
                    async for handout in consumer.handouts():
                        await self._write(context, _message(key, tenant, subscription.name, handout))

    async def _open(self, request: messages.SubscribeRequest, tenant: str) -> store.Subscription:
        """Return the subscription with the request's filter, made if it was not there."""
        given = filter_bytes(request.filter)
        partition = Partition(tenant, 0)
        start = "0-0"
        if not await self._client.hexists(partition.subscriptions, request.subscription):
            (start,) = await self._starts.position(request.start, tenant, filter_digest(given), [partition])
        subscription = await store.open_subscription(self._client, partition, request.subscription, given, start)
        if subscription.filter_bytes != given:
            raise SubscriptionFilterMismatchError(request.subscription)
        return subscription

    async def _write(self, context: Context, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._stall):
                await context.write(message)
        except TimeoutError as error:
            raise ConsumerStalledError from error

    async def acknowledge(self, request: messages.AcknowledgeRequest, caller: Caller) -> messages.AcknowledgeResponse:
        """Settle deliveries for good."""
        await self._settle(caller.tenant, request.subscription, request.delivery_ids, Checker(), None)
        return messages.AcknowledgeResponse()

    async def reject(self, request: messages.RejectRequest, caller: Caller) -> messages.RejectResponse:
        """Have deliveries come again."""
        check = Checker()
        seconds = seconds_of(check, "retry_after", request.retry_after, 0, LONGEST_RETRY_SECONDS)
        await self._settle(caller.tenant, request.subscription, request.delivery_ids, check, round(seconds * 1_000))
        return messages.RejectResponse()

    async def _settle(
        self, tenant: str, name: str, delivery_ids: Sequence[str], check: Checker, again_ms: int | None
    ) -> None:
        check.identifier("subscription", name)
        if not 1 <= len(delivery_ids) <= SETTLED_AT_ONCE:
            check.note("delivery_ids", f"must be 1 to {SETTLED_AT_ONCE}")
        with store_errors("; settle again, it is safe"):
            key = (await self._starts.sealer()).key
            deliveries = _deliveries(check, key, tenant, name, delivery_ids[:SETTLED_AT_ONCE])
            check.raise_if_any()
            settled = await store.settle(self._client, Partition(tenant, 0), name, deliveries, again_ms)
        kind = "acknowledged" if again_ms is None else "rejected"
        DELIVERIES.labels(kind).inc(settled)
        DELIVERIES.labels(f"{kind}_in_vain").inc(len(deliveries) - settled)
        self._shares.stir(tenant, name)


def _deliveries(
    check: Checker, key: bytes, tenant: str, name: str, delivery_ids: Sequence[str]
) -> list[store.Settlement]:
    """Return what the ids name; those that name nothing are noted."""
    found = []
    for place, delivery_id in enumerate(delivery_ids):
        try:
            found.append(open_delivery(key, tenant, name, delivery_id))
        except DeliveryIdInvalidError:
            check.note(f"delivery_ids[{place}]", "must be a delivery_id that this subscription handed out")
    return found


def _message(key: bytes, tenant: str, name: str, handout: Handout) -> bytes:
    """Return the bytes of a SubscribeResponse."""

    def seal(log_id: str, attempt: int) -> str:
        return seal_delivery(key, tenant, name, store.Settlement(handout.epoch, log_id, attempt))

    gap = handout.gap
    parts = [] if gap is None else [gap_bytes(seal("", gap.attempt), gap)]
    parts += [delivery_bytes(seal(item.log_id, attempt), attempt, item) for attempt, item in handout.items]
    return b"".join(parts)
