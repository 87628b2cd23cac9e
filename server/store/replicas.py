"""Replicas: what is written is confirmed by so many of them before anybody is told, as any of them may take over.

Replication is in order: a replica that has a write has all those before it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from server.store.connection import Command, Store, ask
from server.store.keys import CONFIRMED_KEY


class Confirmed(NamedTuple):
    """By how many replicas writes have to be confirmed, and within which time."""

    replicas: int
    within_ms: int


class UnconfirmedError(Exception):
    """Too few replicas have confirmed a write in time."""


async def ask_confirmed(client: Store, commands: Sequence[Command], confirmed: Confirmed | None) -> list[Any]:
    """Return the store's replies, refusals among them; raises UnconfirmedError unless enough replicas have what was written."""
    if confirmed is None:
        return await ask(client, commands)
    *replies, having = await ask(client, [*commands, ("WAIT", *confirmed)])
    if isinstance(having, Exception):
        raise having
    if having < confirmed.replicas:
        raise UnconfirmedError(f"{having} of {confirmed.replicas} replicas have confirmed it")
    return replies


async def confirm_all(client: Store, confirmed: Confirmed | None) -> None:
    """Return once enough replicas have all that was written so far, by whomever; raises UnconfirmedError."""
    if confirmed is not None:
        write = ("SET", CONFIRMED_KEY, b"")  # WAIT waits for its own connection's last write
        await ask_confirmed(client, [write], confirmed)
