"""The requests of a stream's message, read at once: how one lead's bytes lie, the next lead's mostly lie, too.

Most requests are two ids and features, one behind the other, and are read where they lie. A client writes the same names in the same order,
so all but eight bytes of each number are the same, and a number of all leads is one column for numpy. What lies otherwise, or is not what it
has to be, is left to `request.py`, which says what is wrong. (Measured: an eighth of the server's instructions for a decision are saved.)
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from keepwell.v1 import decision_pb2, decision_service_pb2
from numpy.typing import NDArray

from model.features import NUMERIC, possible, rows_at
from rules.remembered import Remembered
from server.convert.checks import Checker, is_identifier
from server.convert.request import Told, decide_input, given_features, input_of
from server.convert.sealed import REQUEST, parse
from server.errors import FieldViolation, InvalidFieldsError
from server.road.job import DecideInput

MOST_REQUESTS: Final = 1_024
REQUEST_ID: Final = 0x0A  # tags of a request's fields
LEAD_ID: Final = 0x12
FEATURES: Final = 0x1A
SHORT: Final = 0x80  # lengths below it take one byte, and those below its square two
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
# The id of a request, its lead's, the bytes of its features, and the message, features sealed, unless there is nothing else in it.
Opened = tuple[str, str, bytes, Any]


class Layout:
    """How the numbers of a lead lie in its features: which, where each begins, and how long all of them are."""

    def __init__(self, places: list[int], starts: list[int], size: int, last_head: bytes) -> None:
        self.places = places
        self.starts = starts
        self.size = size
        self.last_head = last_head


def read_portfolio(tenant: str, requests: Sequence[bytes]) -> list[tuple[str, DecideInput | Exception]]:
    """Return each request's id, and what the road takes of it or why it is refused: InvalidFieldsError, unless the fault is ours.

    Raises:
        MalformedRequestError: One of them is no message.

    """
    opened = [_opened(request) for request in requests]
    told = told_by([features for _, _, features, _ in opened[:MOST_REQUESTS]])
    read = [_read(tenant, opened[place], requests[place], known) for place, known in enumerate(told)]
    too_many = InvalidFieldsError(FieldViolation("requests", f"must be at most {MOST_REQUESTS} a message"))
    return read + [(request_id, too_many) for request_id, _, _, _ in opened[MOST_REQUESTS:]]


def _opened(request: bytes) -> Opened:
    id_at, id_end = _field(request, 0, REQUEST_ID)
    lead_at, lead_end = _field(request, id_end, LEAD_ID)
    at, end = _field(request, lead_end, FEATURES)
    if end == len(request) and request[:lead_end].isascii():
        return request[id_at:id_end].decode(), request[lead_at:lead_end].decode(), request[at:end], None
    message: Any = parse(REQUEST, request)
    return message.request_id, message.lead_id, b"".join(message.features), message


def _field(message: bytes, at: int, tag: int) -> tuple[int, int]:
    """Return where the bytes of a field begin and end; twice where it would begin when another or none lies there, or none of use here."""
    content, whole = at + 2, len(message)
    if content > whole or message[at] != tag:
        return at, at
    length = message[at + 1]
    if length >= SHORT:
        if content == whole or message[content] >= SHORT:
            return at, at
        length += (message[content] - 1) * SHORT
        content += 1
    return (content, content + length) if content + length <= whole else (at, at)


def _read(tenant: str, opened: Opened, request: bytes, told: Told | None) -> tuple[str, DecideInput | Exception]:
    request_id, lead_id, _, message = opened
    if message is None and told is not None and is_identifier(request_id) and is_identifier(lead_id):
        return request_id, decide_input(tenant, lead_id, request_id, told)
    if message is None or told is None:
        message = parse(decision_service_pb2.DecideRequest, request)
    try:
        return request_id, input_of(tenant, message, told=told, request_id_required=True)
    except Exception as error:  # noqa: BLE001 (the caller is told, and one of ours is logged there)
        return request_id, error


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
    while features.startswith(NUMBERS_TAG, at):
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
