"""FeedService: server-streaming decision feeds."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import structlog
from keepwell.v1 import feed_service_pb2 as messages
from redis.exceptions import RedisError

from rules.vocabulary import Channel, Stage, Verdict
from server.caller import Caller
from server.convert.checks import Checker, instant_of, rfc3339
from server.convert.decision import embedded
from server.errors import ResumeTokenExpiredError, SlowReaderError, StateUnavailableError
from server.feed.item import FeedFilter, MakeItems
from server.feed.tail import Follower, is_expired, newest_position, trimmed_position
from server.feed.token import Position, TokenSealer, filter_digest, load_sealer, order
from server.feed.watch import Batch, Watch
from server.metrics import WATCHERS
from server.rpc import Context, Handler
from server.store.connection import Store
from server.store.keys import Partition

HEARTBEAT_SECONDS, SHORTEST_SECONDS, LONGEST_SECONDS = 15.0, 0.1, 300.0
FILTER_LEADS = 1_000
CHECKPOINT = b"\x10\x01"
log = structlog.get_logger()


class FeedService:
    """Hands out the tenant's decisions."""

    def __init__(
        self,
        client: Store,
        blocking: Store,
        make_items: MakeItems,
        partitions: int,
        stall_seconds: float,
        draining: asyncio.Event,
    ) -> None:
        self._client = client
        self._blocking = blocking
        self._make_items = make_items
        self._partitions = partitions
        self._stall = stall_seconds
        self._draining = draining
        self._followers: dict[str, Follower] = {}
        self._watchers: Counter[str] = Counter()
        self._starting = asyncio.Lock()
        self._sealer: TokenSealer | None = None

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {"WatchDecisions": self.watch_decisions}

    async def close(self) -> None:
        """Stop following every tenant's log."""
        for follower in self._followers.values():
            await follower.close()

    async def watch_decisions(self, request: messages.WatchDecisionsRequest, caller: Caller, context: Context) -> None:
        """Stream decisions until the caller leaves or the server drains."""
        wanted, heartbeat = _checked(request)
        digest = filter_digest(request.filter.SerializeToString(deterministic=True))
        partitions = [Partition(caller.tenant, number) for number in range(self._partitions)]
        WATCHERS.inc()
        try:
            sealer = await self._ready()
            position = await self._start(request.start, caller.tenant, digest, sealer, partitions)
            async with self._following(caller.tenant, partitions) as follower:
                watch = Watch(
                    self._client,
                    caller.tenant,
                    partitions,
                    follower,
                    self._make_items,
                    wanted,
                    heartbeat,
                    self._draining,
                )
                async for batch in watch.batches(position):
                    await self._send(context, batch, sealer.seal(caller.tenant, digest, batch.position))
        except ResumeTokenExpiredError:
            raise await self._expired(caller.tenant, digest, partitions) from None
        except (RedisError, OSError) as error:
            raise StateUnavailableError("the store cannot be reached; resume with the last token") from error
        finally:
            WATCHERS.dec()

    async def _ready(self) -> TokenSealer:
        if self._sealer is None:
            self._sealer = await load_sealer(self._client)
        return self._sealer

    @contextlib.asynccontextmanager
    async def _following(self, tenant: str, partitions: list[Partition]) -> AsyncIterator[Follower]:
        """Yield the tenant's follower; the last watcher to leave stops it, or it would read on for nobody."""
        async with self._starting:
            if tenant not in self._followers:
                follower = Follower(self._blocking, tenant, partitions, self._make_items)
                await follower.start()
                self._followers[tenant] = follower
            self._watchers[tenant] += 1
        try:
            yield self._followers[tenant]
        finally:
            self._watchers[tenant] -= 1
            if not self._watchers[tenant]:
                del self._watchers[tenant]
                await self._followers.pop(tenant).close()

    async def _send(self, context: Context, batch: Batch, token: str) -> None:
        body = b"".join(item.field for item in batch.items) or CHECKPOINT
        try:
            async with asyncio.timeout(self._stall):
                await context.write(body + embedded(3, token.encode()))
        except TimeoutError as error:
            raise SlowReaderError(token) from error

    async def _start(
        self,
        start: messages.FeedStart,
        tenant: str,
        digest: bytes,
        sealer: TokenSealer,
        partitions: list[Partition],
    ) -> Position:
        kind = start.WhichOneof("position")
        if kind == "after":
            position = sealer.open(tenant, digest, start.after)
            if len(position) != len(partitions) or is_expired(position, await self._trimmed(partitions)):
                raise ResumeTokenExpiredError("", "")
            return position
        if kind == "earliest":
            return await self._trimmed(partitions)
        if kind == "at_time":
            # Just before the first log id of that millisecond; log ids carry the store's time.
            before = max(instant_of(start.at_time) - 1, 0)
            place = f"{before}-18446744073709551615" if before else "0-0"
            trimmed = await self._trimmed(partitions)
            return tuple(max(place, last, key=order) for last in trimmed)
        return await newest_position(self._client, partitions)

    async def _trimmed(self, partitions: list[Partition]) -> Position:
        return await trimmed_position(self._client, partitions)

    async def _expired(self, tenant: str, digest: bytes, partitions: list[Partition]) -> ResumeTokenExpiredError:
        earliest = await self._trimmed(partitions)
        token = (await self._ready()).seal(tenant, digest, earliest)
        return ResumeTokenExpiredError(token, rfc3339(min(order(place)[0] for place in earliest)))


def _checked(request: messages.WatchDecisionsRequest) -> tuple[FeedFilter, float]:
    check = Checker()
    wanted = request.filter
    for name, values, kind in (
        ("stages", set(map(int, wanted.stages)), Stage),
        ("channels", set(map(int, wanted.channels)), Channel),
        ("verdicts", set(map(int, wanted.verdicts)), Verdict),
    ):
        for place, value in enumerate(sorted(values)):
            if value not in set(map(int, kind)):
                check.note(f"filter.{name}[{place}]", f"must be one of {', '.join(member.name for member in kind)}")
    if len(wanted.lead_ids) > FILTER_LEADS:
        check.note("filter.lead_ids", f"must be at most {FILTER_LEADS}")
    for place, lead_id in enumerate(wanted.lead_ids[:FILTER_LEADS]):
        check.identifier(f"filter.lead_ids[{place}]", lead_id)
    heartbeat = HEARTBEAT_SECONDS
    if request.HasField("heartbeat"):
        heartbeat = request.heartbeat.seconds + request.heartbeat.nanos / 1e9
        if not SHORTEST_SECONDS <= heartbeat <= LONGEST_SECONDS:
            check.note("heartbeat", f"must be {SHORTEST_SECONDS} to {LONGEST_SECONDS} seconds")
    check.raise_if_any()
    stages, channels, verdicts = (frozenset(map(int, v)) for v in (wanted.stages, wanted.channels, wanted.verdicts))
    return FeedFilter(stages, channels, verdicts, frozenset(wanted.lead_ids), wanted.escalations_only), heartbeat
