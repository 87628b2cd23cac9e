"""One decision on its way to watchers: its bytes, ready to send, and what filters look at."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from server.message_size import split
from server.store.entry import LogEntry


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


def split_items(items: Sequence[FeedItem]) -> list[slice]:
    """Return which items go into each message, as `split` does."""
    return split([len(item.field) for item in items])


MakeItems = Callable[[str, Sequence[LogEntry]], Awaitable[list[FeedItem]]]
