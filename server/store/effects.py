"""Effects: writes that go with a lead's, in the same atomic step.

Each is a command of the store with its key and arguments, but for two words of the commit script's own: NEW sets a key that must not be
there (it is why the commit is refused as DUPLICATE when it is), FREE gives one unit of a tenant-wide limit back.
"""

from typing import NamedTuple

from server.store.keys import Partition


class Effect(NamedTuple):
    """One write: the command, its key, and the arguments after the key."""

    command: str
    key: str
    arguments: tuple[bytes | str, ...]


def remember_new(key: str, value: bytes, seconds: int) -> Effect:
    """Set a key that must not be there."""
    return Effect("NEW", key, (value, "EX", str(seconds)))


def remember(key: str, value: bytes, seconds: int | None = None) -> Effect:
    """Set a key, for so long or for ever."""
    return Effect("SET", key, (value,) if seconds is None else (value, "EX", str(seconds)))


def append(stream: str, field: str, value: bytes) -> Effect:
    """Append an entry of one field to a stream."""
    return Effect("XADD", stream, ("*", field, value))


def index(zset: str, member: str, score: int = 0) -> Effect:
    """Add a member to an index, or move it there."""
    return Effect("ZADD", zset, (str(score), member))


def unindex(zset: str, member: str) -> Effect:
    """Take a member out of an index."""
    return Effect("ZREM", zset, (member,))


def free(partition: Partition, ceiling: str, instant: int) -> Effect:
    """Give back one unit of a tenant-wide limit that was taken at an instant. Which of that instant's is all the same: they only count."""
    return Effect("FREE", partition.ceiling(ceiling), (str(instant),))


def take_again(partition: Partition, ceiling: str, instant: int, member: str, seconds: int) -> tuple[Effect, Effect]:
    """Take a unit that was given back, as of the instant at which it was first taken; a limit that is full takes it, too."""
    key = partition.ceiling(ceiling)
    return index(key, member, instant), Effect("EXPIRE", key, (str(seconds),))


def values_of(effects: list[Effect]) -> dict[str, bytes]:
    """Return the keys that these effects set, for who looks before they are written."""
    return {effect.key: _bytes(effect.arguments[0]) for effect in effects if effect.command in ("NEW", "SET")}


def _bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
