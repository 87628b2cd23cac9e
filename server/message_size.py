"""How much goes into one message of a stream."""

from collections.abc import Sequence

MESSAGE_BYTES = 2_000_000  # a client takes 4 MB unless it is told otherwise; a policy of many rules has long traces


def split(sizes: Sequence[int]) -> list[slice]:
    """Return which things of such sizes, in bytes, go into each message: as many as fit, one at least; one empty message for nothing."""
    messages, start, taken = [], 0, 0
    for place, size in enumerate(sizes):
        taken += size
        if taken > MESSAGE_BYTES and place > start:
            messages.append(slice(start, place))
            start, taken = place, size
    return [*messages, slice(start, len(sizes))]
