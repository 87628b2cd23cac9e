"""How much of the feed goes into one message."""

import pytest

from server.feed.item import FeedItem, fitting


def item(size: int) -> FeedItem:
    return FeedItem("1-0", "lead", 0, 0, frozenset(), False, bytes(size))


@pytest.mark.parametrize(
    ("sizes", "fit"),
    [
        ([], 0),
        ([1, 1], 2),
        ([1_000_000, 1_000_000], 2),
        ([1_000_000, 1_000_001], 1),
        ([1_000_000, 999_999, 1, 1], 3),
        ([3_000_000, 1], 1),
        ([1, 3_000_000], 1),
    ],
)
def test_a_message_has_two_million_bytes_of_decisions_and_one_decision_at_least(sizes: list[int], fit: int) -> None:
    assert fitting([item(size) for size in sizes]) == fit
