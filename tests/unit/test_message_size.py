"""How much goes into one message of a stream."""

import pytest

from server.message_size import split


@pytest.mark.parametrize(
    ("sizes", "messages"),
    [
        ([], [[]]),
        ([1, 1], [[1, 1]]),
        ([1_000_000, 1_000_000], [[1_000_000, 1_000_000]]),
        ([1_000_000, 1_000_001], [[1_000_000], [1_000_001]]),
        ([1_000_000, 999_999, 1, 1], [[1_000_000, 999_999, 1], [1]]),
        ([1_900_000, 1_200_000, 1_200_000], [[1_900_000], [1_200_000], [1_200_000]]),
        ([3_000_000, 1], [[3_000_000], [1]]),
        ([1, 3_000_000], [[1], [3_000_000]]),
    ],
)
def test_a_message_has_two_million_bytes_and_one_thing_at_least(sizes: list[int], messages: list[list[int]]) -> None:
    assert [sizes[each] for each in split(sizes)] == messages
