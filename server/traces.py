"""A decision made whole again: the log keeps which rules hit, the policy version knows their names."""

from collections.abc import Sequence

from server.convert.decision import feed_item, trace_bytes
from server.feed.item import FeedItem
from server.policies import PolicyShelf
from server.road.job import Committed
from server.store.entry import LogEntry

KEPT_TRACES = 8_192  # of some 4 KB


class Traces:
    """Lays each decision's trace behind it; traces are kept by what the log keeps of them, which names the policy by its content."""

    def __init__(self, shelf: PolicyShelf) -> None:
        self._shelf = shelf
        self._kept: dict[bytes, bytes] = {}

    def kept(self, hits: bytes) -> bytes | None:
        """Return the bytes of a decision's trace if they are at hand."""
        return self._kept.get(hits)

    async def of(self, tenant: str, hits: bytes) -> bytes:
        """Return the bytes of a decision's trace."""
        trace = self.kept(hits)
        if trace is None:
            version, _, fired = hits.partition(b":")
            policy = await self._shelf.compiled(tenant, version.decode())
            if len(self._kept) >= KEPT_TRACES:
                self._kept.clear()
            trace = self._kept[hits] = trace_bytes(policy.trace_rules, fired)
        return trace

    async def whole(self, tenant: str, committed: Committed) -> bytes:
        """Return a decision's bytes, trace included."""
        return committed.decision + await self.of(tenant, committed.hits)

    async def feed_items(self, tenant: str, entries: Sequence[LogEntry]) -> list[FeedItem]:
        """Return the log's entries as the feed sends them."""
        return [feed_item(e.log_id, e.decision, await self.of(tenant, e.hits)) for e in entries]
