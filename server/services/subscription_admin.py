"""FeedService's subscriptions as an operator sees them: how far behind, what was given up, moved, deleted."""

from collections.abc import Mapping

from keepwell.v1 import feed_service_pb2 as messages

from server.caller import Caller
from server.convert.checks import Checker, timestamp_of
from server.convert.feed import delivery_bytes
from server.feed.consume import Shares
from server.feed.delivery_id import seal_delivery
from server.feed.item import MakeItems
from server.feed.token import filter_digest, order
from server.rpc import Handler
from server.services.feed_start import Starts
from server.services.log_page import place_of
from server.services.name_page import name_of, token_after
from server.services.store_errors import store_errors
from server.store import subscriptions as store
from server.store.connection import Store
from server.store.keys import Partition

PAGE_SIZE = 50
MOST_SUBSCRIPTIONS_A_PAGE, MOST_DEAD_LETTERS_A_PAGE = 100, 500


class SubscriptionAdmin:
    """Lists, moves and deletes subscriptions."""

    def __init__(self, client: Store, starts: Starts, shares: Shares, make_items: MakeItems) -> None:
        self._client = client
        self._starts = starts
        self._shares = shares
        self._make_items = make_items

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {
            "ListSubscriptions": self.list_subscriptions,
            "DeleteSubscription": self.delete_subscription,
            "SeekSubscription": self.seek_subscription,
            "ListDeadLetters": self.list_dead_letters,
        }

    async def list_subscriptions(
        self, request: messages.ListSubscriptionsRequest, caller: Caller
    ) -> messages.ListSubscriptionsResponse:
        """List the tenant's subscriptions, by name."""
        check = Checker()
        if not 0 <= request.page_size <= MOST_SUBSCRIPTIONS_A_PAGE:
            check.note("page_size", f"must be 0 to {MOST_SUBSCRIPTIONS_A_PAGE}")
        check.raise_if_any()
        count = request.page_size or PAGE_SIZE
        with store_errors():
            sealer = await self._starts.sealer()
            after = name_of(sealer, caller.tenant, request.page_token)
            everything = await store.all_subscriptions(self._client, Partition(caller.tenant, 0))
            following = [one for one in everything if one.name > after]
            listed = [await self._standing(caller.tenant, one) for one in following[:count]]
        more = len(following) > count
        return messages.ListSubscriptionsResponse(
            subscriptions=[one for one in listed if one is not None],
            next_page_token=token_after(sealer, caller.tenant, following[count - 1].name) if more else "",
        )

    async def _standing(self, tenant: str, subscription: store.Subscription) -> messages.Subscription | None:
        standing = await store.standing(self._client, Partition(tenant, 0), subscription.name)
        if standing is None:
            return None
        return messages.Subscription(
            subscription=subscription.name,
            lag=standing.lag,
            oldest_unacknowledged_time=timestamp_of(order(standing.oldest)[0]) if standing.oldest else None,
            consumers=standing.consumers,
            unacknowledged=standing.unacknowledged,
            dead_letters=standing.dead_letters,
            filter=messages.FeedFilter.FromString(subscription.filter_bytes),
        )

    async def delete_subscription(
        self, request: messages.DeleteSubscriptionRequest, caller: Caller
    ) -> messages.DeleteSubscriptionResponse:
        """Forget a subscription."""
        _checked(request.subscription)
        with store_errors():
            await store.delete_subscription(self._client, Partition(caller.tenant, 0), request.subscription)
        self._shares.stir(caller.tenant, request.subscription)
        return messages.DeleteSubscriptionResponse()

    async def seek_subscription(
        self, request: messages.SeekSubscriptionRequest, caller: Caller
    ) -> messages.SeekSubscriptionResponse:
        """Move a subscription."""
        check = Checker()
        check.identifier("subscription", request.subscription)
        if request.start.WhichOneof("position") is None:
            check.note("start", "must have one of earliest, latest, after, at_time")
        check.raise_if_any()
        partition = Partition(caller.tenant, 0)
        with store_errors():
            subscription = await store.find_subscription(self._client, partition, request.subscription)
            digest = filter_digest(subscription.filter_bytes)
            (place,) = await self._starts.position(request.start, caller.tenant, digest, [partition])
            await store.seek_subscription(self._client, partition, subscription.name, place)
        self._shares.stir(caller.tenant, request.subscription)
        return messages.SeekSubscriptionResponse()

    async def list_dead_letters(self, request: messages.ListDeadLettersRequest, caller: Caller) -> bytes:
        """List what was given up, oldest first."""
        check = Checker()
        check.identifier("subscription", request.subscription)
        if not 0 <= request.page_size <= MOST_DEAD_LETTERS_A_PAGE:
            check.note("page_size", f"must be 0 to {MOST_DEAD_LETTERS_A_PAGE}")
        check.raise_if_any()
        after = place_of(request.page_token, "ListDeadLetters")
        tenant, name = caller.tenant, request.subscription
        with store_errors():
            key = (await self._starts.sealer()).key
            count = request.page_size or PAGE_SIZE
            letters, following = await store.dead_letters(self._client, Partition(tenant, 0), name, after, count)
            items = await self._make_items(tenant, [letter.handed.entry for letter in letters])
        parts = []
        for letter, item in zip(letters, items, strict=True):
            attempt = letter.handed.attempt
            delivery = store.Settlement(letter.epoch, item.log_id, attempt)
            parts.append(delivery_bytes(seal_delivery(key, tenant, name, delivery), attempt, item))
        page = messages.ListDeadLettersResponse(next_page_token=following)
        return b"".join(parts) + page.SerializeToString()


def _checked(name: str) -> None:
    check = Checker()
    check.identifier("subscription", name)
    check.raise_if_any()
