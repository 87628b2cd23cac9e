"""Gather and commit: the road's two round trips to the store.

Both take work for many partitions and make one round trip; each partition's commit is one atomic script. A commit is never sent twice: an
unclear answer is the caller's to resolve, by its request id.
"""

from collections.abc import Sequence
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from server.store.batch import CommitBatch, GatherQuery, Snapshot, Written
from server.store.commands import commit_command, gather_commands, snapshot_of, written_of
from server.store.connection import Store
from server.store.replicas import Confirmed, ask_confirmed
from server.store.scripts import COMMIT, GATHER


async def load_scripts(client: Store) -> None:
    """Make both scripts known to the store; needed again whenever it was restarted."""
    await client.script_load(GATHER)
    await client.script_load(COMMIT)


async def _run(client: Store, commands: Sequence[list[Any]], confirmed: Confirmed | None = None) -> list[Any]:
    """Return the replies or errors, from one round trip; scripts the store has forgotten are loaded and run again.

    NOSCRIPT means that nothing was done, so running such a call again cannot commit twice.
    """
    replies = await ask_confirmed(client, commands, confirmed)
    forgotten = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if forgotten:
        await load_scripts(client)
        again = await ask_confirmed(client, [commands[place] for place in forgotten], confirmed)
        for place, reply in zip(forgotten, again, strict=True):
            replies[place] = reply
    return replies


async def gather(client: Store, queries: Sequence[GatherQuery]) -> list[Snapshot | ResponseError]:
    """Return one snapshot for each query, or why the store gave none, from one round trip."""
    replies = await _run(client, [command for query in queries for command in gather_commands(query)])
    found: list[Snapshot | ResponseError] = []
    for query, values, reply in zip(queries, replies[::2], replies[1::2], strict=True):
        refusals = [each for each in (values, reply) if isinstance(each, ResponseError)]
        found.append(refusals[0] if refusals else snapshot_of(query, values, reply))
    return found


async def commit(
    client: Store, batches: Sequence[CommitBatch], confirmed: Confirmed | None = None
) -> list[Written | ResponseError]:
    """Return what each batch came to, or why it was refused as a whole.

    Raises:
        UnconfirmedError: Too few replicas have it; it may be lost with the primary.

    """
    replies = await _run(client, [commit_command(batch) for batch in batches], confirmed)
    return [reply if isinstance(reply, ResponseError) else written_of(reply) for reply in replies]
