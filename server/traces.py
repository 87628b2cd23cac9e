"""A decision made whole again: the log keeps which rules hit, the policy version knows their names."""

from collections.abc import Sequence

from server.convert.decision import feed_item, trace_bytes
from server.feed.item import FeedItem
from server.policies import PolicyShelf
from server.road.job import Committed
from server.store.log import LogEntry


class Traces:
    """Lays each decision's trace behind it."""

    def __init__(self, shelf: PolicyShelf) -> None:
        self._shelf = shelf

    async def _trace(self, tenant: str, hits: bytes) -> bytes:
        version, _, fired = hits.partition(b":")
        policy = await self._shelf.compiled(tenant, version.decode())
        return trace_bytes(policy.trace_rules, fired)

    async def whole(self, tenant: str, committed: Committed) -> bytes:
        """Return a decision's bytes, trace included."""
        return committed.decision + await self._trace(tenant, committed.hits)

    async def feed_items(self, tenant: str, entries: Sequence[LogEntry]) -> list[FeedItem]:
        """Return the log's entries as the feed sends them."""
        return [feed_item(e.log_id, e.decision, await self._trace(tenant, e.hits)) for e in entries]
