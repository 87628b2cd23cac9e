"""The features of many leads, read at once: how numbers lie in one lead's bytes, they mostly lie in the next lead's, too.

A client writes the same names in the same order, so all but eight bytes of each number are the same, and a number of all leads is one column
for numpy. (Measured: a tenth of the server's instructions for a decision in a stream are saved.) What lies otherwise, or
is not what it has to be, is left to `request.py`, which says what is wrong.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from keepwell.v1 import decision_pb2
from numpy.typing import NDArray

from model.features import NUMERIC, possible, rows_at
from rules.remembered import Remembered
from server.convert.checks import Checker
from server.convert.request import Told, given_features
from server.convert.sealed import parse

NUMBER_BYTES: Final = 8
NUMBERS_TAG: Final = b"\x0a"  # of an entry of the map of numbers, which come first
FEWEST_ALIKE: Final = 8
MOST_ODD: Final = 4  # so many leads like few others, and it is no use to look for more
LONGEST_REST: Final = 1_024
# An entry up to its number: tag and length of the entry, of the name in it, and the tag of the number.
_HEADS: Final = {
    b"\x0a%c\x0a%c%b\x11" % (len(feature.name) + 11, len(feature.name), feature.name.encode()): place
    for place, feature in enumerate(NUMERIC)
}


class Layout:
    """How the numbers of a lead lie in its features: which, where each begins, and how long all of them are."""

    def __init__(self, places: list[int], starts: list[int], size: int, last_head: bytes) -> None:
        self.places = places
        self.starts = starts
        self.size = size
        self.last_head = last_head


def told_by(features: list[bytes]) -> list[Told | None]:
    """Return what each lead's features tell; None for those that have to be read one by one."""
    told: list[Told | None] = [None if each[:1] == NUMBERS_TAG else _told(b"", each) for each in features]
    left, odd = [place for place, each in enumerate(features) if each[:1] == NUMBERS_TAG], 0
    while left and odd < MOST_ODD:
        layout = _layout_of(features[left[0]])
        alike = [] if layout is None else [place for place in left if _begins(layout, features[place])]
        if layout is None or len(alike) < FEWEST_ALIKE:
            odd += 1
            left = left[1:]
            continue
        rows = _numbers(layout, [features[place] for place in alike])
        for place, numbers in zip(alike, rows, strict=True):
            told[place] = _told(numbers, features[place][layout.size :])
        taken = set(alike)
        left = [place for place in left if place not in taken]
    return told


def _told(numbers: bytes | None, rest: bytes) -> Told | None:
    if numbers is None or len(rest) > LONGEST_REST:
        return None
    others = _RESTS[rest]
    return None if others is None else (numbers, others[0], others[1])


def _rest_of(rest: bytes) -> tuple[tuple[str, ...], int | None] | None:
    """Return the categories and the instant of features without their numbers; None when more is there, or something is wrong."""
    check, features = Checker(), parse(decision_pb2.Features, rest)
    numbers, categories, as_of = given_features(check, "", features)
    return None if numbers or check.violations else (categories, as_of)


_RESTS: Final = Remembered(_rest_of)


def _layout_of(features: bytes) -> Layout | None:
    """Return how a lead's numbers lie; None unless each is known, and given once, as protobuf writes it."""
    places, starts, at, head = [], [], 0, b""
    while features[at : at + 1] == NUMBERS_TAG:
        end = at + 2 + int.from_bytes(features[at + 1 : at + 2])
        head = features[at : end - NUMBER_BYTES]
        if head not in _HEADS or end > len(features):
            return None
        places.append(_HEADS[head])
        starts.append(end - NUMBER_BYTES)
        at = end
    return Layout(places, starts, at, head) if places and len(set(places)) == len(places) else None


def _begins(layout: Layout, features: bytes) -> bool:
    """Return whether a lead's numbers seem to lie so; the last of them tells most others apart."""
    size, last_head = layout.size, layout.last_head
    last = size - NUMBER_BYTES
    return (
        features[last - len(last_head) : last] == last_head
        and len(features) >= size
        and features[size : size + 1] != NUMBERS_TAG
    )


def _numbers(layout: Layout, features: Sequence[bytes]) -> list[bytes | None]:
    """Return the leads' numbers as the road takes them; None where one lies otherwise, or cannot be."""
    size, count = layout.size, len(features)
    data = b"".join([each[:size] for each in features])
    numbers = np.stack([np.ndarray(count, "<f8", data, start, size) for start in layout.starts], axis=1)
    rows = rows_at(layout.places, numbers)
    fine = possible(layout.places, numbers) & _same_words(layout, data)
    return [row if good else None for row, good in zip(rows, fine.tolist(), strict=True)]


def _same_words(layout: Layout, data: bytes) -> NDArray[np.bool_]:
    """Return which leads have the first one's bytes wherever there is no number."""
    matrix = np.frombuffer(data, np.uint8).reshape(-1, layout.size)
    words = np.ones(layout.size, bool)
    for start in layout.starts:
        words[start : start + NUMBER_BYTES] = False
    same: NDArray[np.bool_] = np.all((matrix == matrix[0]) | ~words, axis=1)
    return same
