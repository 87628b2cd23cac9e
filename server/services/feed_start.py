"""Where in the log a reader starts, and the tokens that name such places."""

from keepwell.v1 import feed_service_pb2 as messages

from server.convert.checks import Checker, rfc3339
from server.errors import ResumeTokenExpiredError
from server.feed.tail import is_expired, newest_position, trimmed_position
from server.feed.token import Position, TokenSealer, load_sealer, order
from server.store.connection import Store
from server.store.keys import Partition


class Starts:
    """Turns a caller's start into a position."""

    def __init__(self, client: Store) -> None:
        self._client = client
        self._sealer: TokenSealer | None = None

    async def sealer(self) -> TokenSealer:
        """Return what makes and opens tokens."""
        if self._sealer is None:
            self._sealer = await load_sealer(self._client)
        return self._sealer

    async def position(
        self, start: messages.FeedStart, tenant: str, digest: bytes, partitions: list[Partition]
    ) -> Position:
        """Return the position that a start names.

        Raises:
            ResumeTokenInvalidError: The token is damaged, or of another tenant or filter.
            ResumeTokenExpiredError: Retention removed something that follows the token.

        """
        kind = start.WhichOneof("position")
        if kind == "after":
            position = (await self.sealer()).open(tenant, digest, start.after)
            if len(position) != len(partitions) or is_expired(position, await self._trimmed(partitions)):
                raise await self.expired(tenant, digest, partitions)
            return position
        if kind == "earliest":
            return await self._trimmed(partitions)
        if kind == "at_time":
            check = Checker()
            at = check.instant("start.at_time", start.at_time)
            check.raise_if_any()
            # Just before the first log id of that millisecond; log ids carry the store's time.
            before = max(at - 1, 0)
            place = f"{before}-18446744073709551615" if before else "0-0"
            trimmed = await self._trimmed(partitions)
            return tuple(max(place, last, key=order) for last in trimmed)
        return await newest_position(self._client, partitions)

    async def expired(self, tenant: str, digest: bytes, partitions: list[Partition]) -> ResumeTokenExpiredError:
        """Return the error for a token that is too old: it carries where the feed starts now."""
        earliest = await self._trimmed(partitions)
        token = (await self.sealer()).seal(tenant, digest, earliest)
        return ResumeTokenExpiredError(token, rfc3339(min(order(place)[0] for place in earliest)))

    async def _trimmed(self, partitions: list[Partition]) -> Position:
        return await trimmed_position(self._client, partitions)
