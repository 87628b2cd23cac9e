"""Replicas: what is written is confirmed by so many of them before anybody is told, as any of them may take over.

Replication is in order: a replica that has a write has all those before it.
"""

from typing import Any, NamedTuple

from server.store.connection import Store
from server.store.keys import CONFIRMED_KEY


class Confirmed(NamedTuple):
    """By how many replicas writes have to be confirmed, and within which time."""

    replicas: int
    within_ms: int


class UnconfirmedError(Exception):
    """Too few replicas have confirmed a write in time."""


async def execute(pipeline: Any, confirmed: Confirmed | None) -> list[Any]:
    """Return a pipeline's replies, refusals among them; raises UnconfirmedError unless enough replicas have what it wrote."""
    if confirmed is not None:
        pipeline.execute_command("WAIT", *confirmed)
    replies: list[Any] = await pipeline.execute(raise_on_error=False)
    if confirmed is None:
        return replies
    *replies, having = replies
    if isinstance(having, Exception):
        raise having
    if having < confirmed.replicas:
        raise UnconfirmedError(f"{having} of {confirmed.replicas} replicas have confirmed it")
    return replies


async def confirm_all(client: Store, confirmed: Confirmed | None) -> None:
    """Return once enough replicas have all that was written so far, by whomever; raises UnconfirmedError."""
    if confirmed is not None:
        pipeline = client.pipeline(transaction=False)
        pipeline.set(CONFIRMED_KEY, b"")  # WAIT waits for its own connection's last write
        await execute(pipeline, confirmed)
