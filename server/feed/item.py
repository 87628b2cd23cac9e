"""One decision on its way to watchers: its bytes, ready to send, and what filters look at."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from server.store.entry import LogEntry

MESSAGE_BYTES = 2_000_000  # a client takes 4 MB unless it is told otherwise; a policy of many rules has long traces


class FeedItem(NamedTuple):
    """A decision in the feed; `field` is its bytes as a field of the message that carries many."""

    log_id: str
    lead_id: str
    stage: int
    verdict: int
    channels: frozenset[int]
    escalated: bool
    field: bytes


class FeedFilter(NamedTuple):
    """What a watcher wants; an empty set wants everything."""

    stages: frozenset[int]
    channels: frozenset[int]
    verdicts: frozenset[int]
    lead_ids: frozenset[str]
    escalations_only: bool

    def passes(self, item: FeedItem) -> bool:
        """Return whether the watcher wants the item."""
        return (
            (not self.stages or item.stage in self.stages)
            and (not self.verdicts or item.verdict in self.verdicts)
            and (not self.channels or not self.channels.isdisjoint(item.channels))
            and (not self.lead_ids or item.lead_id in self.lead_ids)
            and (not self.escalations_only or item.escalated)
        )


def fitting(items: Sequence[FeedItem]) -> int:
    """Return how many of the first items go into one message: as many as `MESSAGE_BYTES` hold, and one at least."""
    size = 0
    for count, item in enumerate(items):
        size += len(item.field)
        if size > MESSAGE_BYTES and count:
            return count
    return len(items)


MakeItems = Callable[[str, Sequence[LogEntry]], Awaitable[list[FeedItem]]]
