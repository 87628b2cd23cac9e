"""The requests of a stream's message, read at once.

Most are two ids and features, one behind the other, and are read where they lie, rather than each made a message that is asked for its parts.
(Measured: 3 % of the server's instructions for a decision are saved.) What lies otherwise, or is not what it has to be, is left to
`request.py`, which says what is wrong.
"""

from collections.abc import Sequence
from typing import Any, Final

from keepwell.v1 import decision_service_pb2

from server.convert.checks import is_identifier
from server.convert.columns import told_by
from server.convert.pieces import SHORT
from server.convert.request import Told, decide_input, input_of
from server.convert.sealed import REQUEST, parse
from server.errors import FieldViolation, InvalidFieldsError
from server.road.job import DecideInput

MOST_REQUESTS: Final = 1_024
REQUEST_ID: Final = 0x0A  # tags of a request's fields
LEAD_ID: Final = 0x12
FEATURES: Final = 0x1A
# The id of a request, its lead's, the bytes of its features, and the message, features sealed, unless there is nothing else in it.
Opened = tuple[str, str, bytes, Any]


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
    if length >= SHORT:  # two bytes, or more, which no sound request needs
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
