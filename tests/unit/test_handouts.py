"""What a consumer takes, in messages."""

from server.feed.consume import Handout, handouts_of
from server.feed.item import FeedItem
from server.store.subscriptions import Gap

GAP = Gap(3, "1-0", "3-0", 1)


def test_what_is_too_long_comes_apart_and_the_gap_goes_first_and_once() -> None:
    long = [(1, FeedItem(f"{n}-0", "lead", 0, 0, frozenset(), False, bytes(1_500_000))) for n in (4, 5)]
    assert list(handouts_of(7, long, GAP)) == [Handout(7, long[:1], GAP), Handout(7, long[1:], None)]


def test_a_gap_alone_is_handed_out_and_nothing_is_not() -> None:
    assert list(handouts_of(7, [], GAP)) == [Handout(7, [], GAP)]
    assert list(handouts_of(7, [], None)) == []
