"""Leads whose review is due: taken by one replica at a time, and back again when it dies."""

import hashlib
from typing import NamedTuple

from redis.exceptions import NoScriptError

from server.store.connection import Store
from server.store.keys import Partition
from server.store.scripts import TAKE_DUE

TAKE_DUE_SHA = hashlib.sha1(TAKE_DUE.encode()).hexdigest()


class DueLead(NamedTuple):
    """A lead, and the instant at which its review was due."""

    lead_id: str
    due_at: int


async def take_due(client: Store, partition: Partition, clock: str, count: int, visibility_ms: int) -> list[DueLead]:
    """Return up to so many leads whose review is due, longest due first; nobody else gets them within the visibility time."""
    arguments = (2, partition.due, partition.clock, clock, count, visibility_ms)
    try:
        reply = await client.evalsha(TAKE_DUE_SHA, *arguments)
    except NoScriptError:
        await client.script_load(TAKE_DUE)
        reply = await client.evalsha(TAKE_DUE_SHA, *arguments)
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return [DueLead(lead_id.decode(), int(due_at)) for lead_id, due_at in pairs]
