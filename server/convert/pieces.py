"""Messages in pieces: protobuf reads the pieces of a message that lie behind each other as one."""

from functools import lru_cache
from typing import Any

VARINT, DOUBLE, BYTES = 0, 1, 2  # wire types


def tag(message: Any, field: str, wire_type: int) -> int:
    """Return the byte that a message's field begins with; one is enough for fields up to 15."""
    number: int = message.DESCRIPTOR.fields_by_name[field].number
    return number << 3 | wire_type


@lru_cache(maxsize=8_192)
def varint(number: int) -> bytes:
    """Return a whole number as protobuf writes it."""
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004 (seven bits a byte)
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


@lru_cache(maxsize=8_192)
def _head(field: int, length: int) -> bytes:
    return varint(field << 3 | 2) + varint(length)


def embedded(field: int, message: bytes) -> bytes:
    """Return a message's bytes as a field of another message."""
    return _head(field, len(message)) + message
