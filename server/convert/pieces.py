"""Messages in pieces: protobuf reads the pieces of a message that lie behind each other as one."""

from typing import Any, Final

from rules.remembered import Remembered

VARINT, DOUBLE, BYTES = 0, 1, 2  # wire types
SHORT: Final = 0x80  # lengths below it take one byte
_TAGS: Final = [bytes((field << 3 | BYTES,)) for field in range(16)]
# With the length: a decision has a dozen short fields.
_SHORT_HEADS: Final = [[each + bytes((length,)) for length in range(SHORT)] for each in _TAGS]


def tag(message: Any, field: str, wire_type: int) -> int:
    """Return the byte that a message's field begins with; one is enough for fields up to 15."""
    number: int = message.DESCRIPTOR.fields_by_name[field].number
    return number << 3 | wire_type


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= SHORT:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_VARINTS: Final = Remembered(_varint, kept=8_192)


def head(field: int, length: int) -> bytes:
    """Return what a field of so many bytes begins with: its tag, for fields up to 15, and its length."""
    return _SHORT_HEADS[field][length] if length < SHORT else _TAGS[field] + _VARINTS[length]


def embedded(field: int, message: bytes) -> bytes:
    """Return a message's bytes as a field of another message."""
    return head(field, len(message)) + message
