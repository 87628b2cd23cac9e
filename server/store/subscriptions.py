"""Durable subscriptions, on the store's own consumer groups: what is handed to whom, and what comes of it.

Every function is one atomic script or one read. A subscription's deadlines run on the store's clock, whatever clock the tenant has: they
measure whether a consumer is alive, not when business happens.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgpack
from redis.exceptions import ResponseError

from server.errors import SubscriptionNotFoundError, SubscriptionQuotaError
from server.store.connection import Store
from server.store.entry import LogEntry, unpack_entry
from server.store.keys import Partition
from server.store.script import Script
from server.store.scripts import (
    DELETE_SUBSCRIPTION,
    OPEN_SUBSCRIPTION,
    SEEK_SUBSCRIPTION,
    SETTLE_DELIVERIES,
    TAKE_DELIVERIES,
)

OPEN, SEEK, DELETE = Script(OPEN_SUBSCRIPTION), Script(SEEK_SUBSCRIPTION), Script(DELETE_SUBSCRIPTION)
TAKE, SETTLE = Script(TAKE_DELIVERIES), Script(SETTLE_DELIVERIES)
MOST_SUBSCRIPTIONS = 100
TAKEN_AT_ONCE = 256
CONSUMER_IDLE_MS = 60_000
DEAD_LETTERS = 10_000
COUNTED_ONE_BY_ONE = 10_000
NOBODY = " "  # the consumer that has what nobody holds


class Subscription(NamedTuple):
    """A subscription as it is stored; the epoch changes with every seek."""

    name: str
    epoch: int
    filter_bytes: bytes


class Terms(NamedTuple):
    """What one consumer asked for."""

    consumer: str
    max_outstanding: int
    deadline_ms: int
    max_attempts: int


class Handed(NamedTuple):
    """One entry of the log, handed to a consumer."""

    attempt: int
    entry: LogEntry


class Gap(NamedTuple):
    """What retention removed before it was acknowledged."""

    missed: int
    first: str
    last: str
    attempt: int


class Taken(NamedTuple):
    """What a consumer was handed; `room` is what it may hold beyond that, `wait_ms` until something may come back (None: nothing will)."""

    handed: list[Handed]
    gap: Gap | None
    buried: int
    room: int
    wait_ms: int | None


class Settlement(NamedTuple):
    """One delivery that is done or comes again; log id "" is a gap."""

    epoch: int
    log_id: str
    attempt: int


def _subscription(name: str, stored: bytes) -> Subscription:
    epoch, _, filter_bytes = stored.partition(b" ")
    return Subscription(name, int(epoch), filter_bytes)


async def open_subscription(
    client: Store, partition: Partition, name: str, filter_bytes: bytes, start: str
) -> Subscription:
    """Return the subscription, made if it was not there; raises SubscriptionQuotaError when the tenant has too many."""
    keys = (partition.log, partition.subscriptions)
    stored = await OPEN.run(client, keys, name, filter_bytes, start, MOST_SUBSCRIPTIONS)
    if stored is None:
        raise SubscriptionQuotaError(name, MOST_SUBSCRIPTIONS)
    return _subscription(name, stored)


async def find_subscription(client: Store, partition: Partition, name: str) -> Subscription:
    """Return a subscription; raises SubscriptionNotFoundError."""
    stored = await client.hget(partition.subscriptions, name)
    if stored is None:
        raise SubscriptionNotFoundError(name)
    return _subscription(name, stored)


async def all_subscriptions(client: Store, partition: Partition) -> list[Subscription]:
    """Return the tenant's subscriptions, by name."""
    stored = await client.hgetall(partition.subscriptions)
    return [_subscription(name.decode(), stored[name]) for name in sorted(stored)]


async def seek_subscription(client: Store, partition: Partition, name: str, start: str) -> None:
    """Move a subscription to right after a log id; raises SubscriptionNotFoundError."""
    keys = (partition.log, partition.subscriptions, partition.leases(name), partition.returned(name))
    if not await SEEK.run(client, keys, name, start):
        raise SubscriptionNotFoundError(name)


async def delete_subscription(client: Store, partition: Partition, name: str) -> None:
    """Forget a subscription and everything of it; raises SubscriptionNotFoundError."""
    own = (partition.leases(name), partition.returned(name), partition.dead(name))
    if not await DELETE.run(client, (partition.log, partition.subscriptions, partition.gaps, *own), name):
        raise SubscriptionNotFoundError(name)


async def take(client: Store, partition: Partition, subscription: Subscription, terms: Terms) -> Taken | None:
    """Return what a consumer is handed; None when the subscription has moved or is gone."""
    name = subscription.name
    own = (partition.leases(name), partition.returned(name), partition.dead(name))
    reply = await TAKE.run(
        client,
        (partition.log, partition.subscriptions, *own, partition.gaps),
        name,
        subscription.epoch,
        *terms,
        TAKEN_AT_ONCE,
        CONSUMER_IDLE_MS,
        DEAD_LETTERS,
    )
    if isinstance(reply, bytes):
        return None
    entries, gap, buried, room, wait_ms = reply
    missed = None if not gap else Gap(gap[0], gap[1].decode(), gap[2].decode(), gap[3])
    return Taken([_handed(entry) for entry in entries], missed, buried, room, None if wait_ms < 0 else wait_ms)


def _handed(reply: list[Any]) -> Handed:
    log_id, attempt, flat = reply
    return Handed(attempt, unpack_entry(log_id, dict(zip(flat[::2], flat[1::2], strict=True))))


async def settle(
    client: Store, partition: Partition, name: str, deliveries: Sequence[Settlement], again_ms: int | None
) -> int:
    """Settle deliveries: done, or to come again after so long; return how many of them it changed anything for.

    Raises:
        SubscriptionNotFoundError: There is no such subscription.

    """
    keys = (partition.log, partition.subscriptions, partition.leases(name), partition.returned(name), partition.gaps)
    # The store's unpacker predates MessagePack's type for bytes; both of its texts are bytes to Lua.
    packed = msgpack.packb([(str(d.epoch), d.log_id, d.attempt) for d in deliveries], use_bin_type=False)
    settled = await SETTLE.run(client, keys, name, "" if again_ms is None else again_ms, packed)
    if settled is None:
        raise SubscriptionNotFoundError(name)
    return int(settled)


class DeadLetter(NamedTuple):
    """A delivery that was given up: its place among the dead letters, and what it was."""

    place: str
    epoch: int
    handed: Handed


async def dead_letters(
    client: Store, partition: Partition, name: str, after: str, count: int
) -> tuple[list[DeadLetter], str]:
    """Return up to `count` dead letters after a place ("": from the oldest), and where the next page starts ("": nowhere)."""
    await find_subscription(client, partition, name)
    replies = await client.xrange(partition.dead(name), min=f"({after}" if after else "-", max="+", count=count + 1)
    letters = [_dead_letter(place.decode(), fields) for place, fields in replies[:count]]
    return letters, letters[-1].place if len(replies) > count else ""


def _dead_letter(place: str, fields: dict[bytes, bytes]) -> DeadLetter:
    log_id, attempt, epoch = (fields.pop(own) for own in (b"l", b"n", b"e"))
    return DeadLetter(place, int(epoch), Handed(int(attempt), unpack_entry(log_id, fields)))


class Standing(NamedTuple):
    """How far behind a subscription is; `oldest` is the log id of the oldest entry that is not acknowledged ("": none)."""

    lag: int
    oldest: str
    consumers: list[str]
    unacknowledged: int
    dead_letters: int


async def standing(client: Store, partition: Partition, name: str) -> Standing | None:
    """Return how far behind a subscription is; None when it was deleted meanwhile."""
    try:
        groups = await client.xinfo_groups(partition.log)
        group = next(group for group in groups if group["name"].decode() == name)
        consumers = await client.xinfo_consumers(partition.log, name)
        pending = await client.xpending(partition.log, name)
    except (ResponseError, StopIteration):
        return None
    delivered = group["last-delivered-id"].decode()
    following = await client.xrange(partition.log, min=f"({delivered}", max="+", count=1)
    oldest = pending["min"] or (following[0][0] if following else b"")
    lag = group["lag"]
    return Standing(
        await _count_after(client, partition, delivered) if lag is None else int(lag),
        oldest.decode(),
        sorted(
            one["name"].decode()
            for one in consumers
            if one["name"] != NOBODY.encode() and (one["pending"] or one["idle"] <= CONSUMER_IDLE_MS)
        ),
        pending["pending"],
        await client.xlen(partition.dead(name)),
    )


async def _count_after(client: Store, partition: Partition, log_id: str) -> int:
    """Return how many entries follow a log id, counted up to a bound."""
    count = 0
    while count < COUNTED_ONE_BY_ONE:
        entries = await client.xrange(partition.log, min=f"({log_id}", max="+", count=1_000)
        count += len(entries)
        if not entries:
            break
        log_id = entries[-1][0].decode()
    return count
