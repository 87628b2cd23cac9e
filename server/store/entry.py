"""An entry of the decision log, as the stream keeps it, and as whoever reads it wants it."""

from struct import Struct as Layout
from typing import Any, NamedTuple

LENGTHS = Layout("<II")


class LogEntry(NamedTuple):
    """One decision as it was committed; `previous` is the log id of the lead's decision before it."""

    log_id: str
    decision: bytes
    hits: bytes
    inputs: bytes
    previous: str


def pack_entry(decision: bytes, hits: bytes, inputs: bytes) -> bytes:
    """Return what an entry's one field holds: two lengths, and the pieces behind each other.

    One field, named by the previous log id, as the store's work goes by arguments: four fields with names of their own cost it a twelfth more.
    """
    return b"".join((LENGTHS.pack(len(decision), len(hits)), decision, hits, inputs))


def unpack_entry(log_id: bytes, fields: dict[bytes, bytes]) -> LogEntry:
    """Return the entry that has these fields, in the log or among dead letters."""
    if b"d" in fields:  # four fields, or two in a copy: how it was until November 2026
        decision, hits, inputs, before = (fields.get(name, b"") for name in (b"d", b"t", b"i", b"p"))
        return LogEntry(log_id.decode(), decision, hits, inputs, before.decode())
    ((previous, packed),) = fields.items()
    length, hits_length = LENGTHS.unpack_from(packed)
    hits_at = LENGTHS.size + length
    inputs_at = hits_at + hits_length
    decision, hits, inputs = packed[LENGTHS.size : hits_at], packed[hits_at:inputs_at], packed[inputs_at:]
    return LogEntry(log_id.decode(), decision, hits, inputs, previous.decode())


def parse_entry(reply: tuple[bytes, Any]) -> LogEntry:
    """Return a stream's entry."""
    return unpack_entry(*reply)
