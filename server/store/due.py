"""Leads whose review, or something else, is due: taken by one replica at a time, and back again when it dies."""

from typing import NamedTuple

from server.store.connection import Store
from server.store.keys import Partition
from server.store.script import Script
from server.store.scripts import TAKE_DUE

TAKE = Script(TAKE_DUE)


class DueLead(NamedTuple):
    """A lead, and the instant at which it was due."""

    lead_id: str
    due_at: int


async def take_due(
    client: Store, partition: Partition, clock: str, count: int, visibility_ms: int, index: str = ""
) -> list[DueLead]:
    """Return up to so many leads whose review is due, longest due first; nobody else gets them within the visibility time.

    `index` is the key of other lead ids by when something is due, such as the partition's `due_escalations`.
    """
    keys = (index or partition.due, partition.clock)
    reply = await TAKE.run(client, keys, clock, count, visibility_ms)
    pairs = zip(reply[::2], reply[1::2], strict=True)
    return [DueLead(lead_id.decode(), int(due_at)) for lead_id, due_at in pairs]
