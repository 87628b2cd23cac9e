"""Gather and commit: the road's two round trips to the store.

Both take work for many partitions and make one round trip; each partition's part is one atomic script. Records are bytes here: what is in
them is `record.py`'s concern. A commit is never sent twice: an unclear answer is the caller's to resolve, by its request id.
"""

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack
from msgspec import Struct
from redis.exceptions import NoScriptError, ResponseError

from model.events import LATE_DAYS
from server.store.connection import Store
from server.store.effects import Effect
from server.store.keys import CONTACT_SECONDS, Partition
from server.store.log import pack_entry
from server.store.replicas import Confirmed, ask_confirmed
from server.store.scripts import COMMIT, GATHER

GATHER_SHA = hashlib.sha1(GATHER.encode()).hexdigest()
COMMIT_SHA = hashlib.sha1(COMMIT.encode()).hexdigest()
DAY_COUNTS_SECONDS = 3 * 86_400
EVENT_SECONDS = (LATE_DAYS + 1) * 86_400


class CeilingQuery(NamedTuple):
    """Which stretch of time a tenant-wide limit counts in: rolling (length > 0), or a calendar's two next starts."""

    name: str
    rolling_ms: int
    start_at: int
    boundary_at: int
    maximum: int


class GatherQuery(NamedTuple):
    """What to read of one partition."""

    partition: Partition
    clock: str
    days: tuple[str, str]
    tomorrow_at: int
    ceilings: Sequence[CeilingQuery]
    lead_ids: Sequence[str]
    decision_ids: Sequence[str]
    further_keys: Sequence[str] = ()


class StoredLead(Struct, frozen=True):
    """A lead's record as it lies in the store; version 0 when there is none."""

    version: int
    log_id: str
    record: bytes


class Snapshot(NamedTuple):
    """What was read of one partition, and the instant of the store's clock at which it had been: no record names a later one."""

    now: int
    leads: list[StoredLead]
    decisions: list[bytes | None]
    readings: list[tuple[int, int | None]]
    leads_today: int
    escalated_today: int
    known: Mapping[str, bytes] = MappingProxyType({})  # the further keys that are there, with what they hold


class Claim(NamedTuple):
    """Units of a tenant-wide limit that a commit takes, or is refused for."""

    name: str
    amount: int
    maximum: int
    start: str


class DecisionWrite(Struct, frozen=True):
    """One decision as the log keeps it."""

    decision_id: str
    fingerprint: bytes
    decision: bytes
    hits: bytes
    inputs: bytes
    contacts: bool = False  # whether it grants any: outcomes of those may come long after the log has let go of it


class EventWrite(NamedTuple):
    """One event as its log keeps it, and the key by which it is known from then on."""

    key: str
    payload: bytes


class LeadWrite(Struct, frozen=True):
    """The next record of one lead, the decisions and events that led to it, and what else is written with it."""

    lead_id: str
    version: int
    record: bytes
    valid_until: int | None
    first_today: bool
    escalations: int
    share: float
    claims: Sequence[Claim]
    decisions: Sequence[DecisionWrite]
    events: Sequence[EventWrite] = ()
    next_review_at: int | None = None
    effects: Sequence[Effect] = ()


class CommitBatch(NamedTuple):
    """What to write in one partition."""

    partition: Partition
    clock: str
    day: str
    decision_seconds: int
    leads: Sequence[LeadWrite]


class Written(NamedTuple):
    """What a commit came to: how many decisions are in the log, and which leads were refused, by their places, with the word for why."""

    decisions: int
    refused: Mapping[int, str]


NEW_LEAD = StoredLead(0, "0-0", b"")


def parse_lead(stored: bytes | None) -> StoredLead:
    """Return the parts of a stored record; `NEW_LEAD` for a missing one."""
    if stored is None:
        return NEW_LEAD
    head, _, record = stored.partition(b"\n")
    version, _, log_id = head.partition(b" ")
    return StoredLead(int(version), log_id.decode(), record)


def _gather_commands(query: GatherQuery) -> tuple[list[Any], list[Any]]:
    """Return what reads leads and decisions, and the script that then says which instant it is, and reads all else.

    In this order: were the instant read first, a record could be newer than it. What others write between the two is nobody's loss: the commit
    refuses a lead that has changed.
    """
    partition = query.partition
    lead, decision = partition.lead(""), partition.decision("")
    values = ["MGET", *[lead + each for each in query.lead_ids], *[decision + each for each in query.decision_ids]]
    keys: list[str] = [partition.log, partition.clock, *map(partition.day, query.days), lead, decision]
    arguments: list[Any] = [query.clock, query.tomorrow_at, len(query.ceilings)]
    for name, rolling_ms, start_at, boundary_at, maximum in query.ceilings:
        keys.append(partition.ceiling(name))
        arguments += (rolling_ms, start_at, boundary_at, maximum)
    keys += query.further_keys
    return values, ["EVALSHA", GATHER_SHA, len(keys), *keys, *arguments]


def _snapshot(query: GatherQuery, values: list[bytes | None], reply: list[Any]) -> Snapshot:
    now, known, readings, leads_today, escalated_today = reply
    leads = len(query.lead_ids)
    return Snapshot(
        int(now),
        [parse_lead(stored) for stored in values[:leads]],
        values[leads:],
        [(used, int(release) if release else None) for used, release in readings],
        leads_today,
        escalated_today,
        {key: value for key, value in zip(query.further_keys, known, strict=True) if value is not None},
    )


def _commit_command(batch: CommitBatch) -> list[Any]:
    partition = batch.partition
    names = sorted({claim.name for lead in batch.leads for claim in lead.claims})
    index = {name: place for place, name in enumerate(names, 1)}
    keys = [
        partition.log,
        partition.clock,
        partition.day(batch.day),
        partition.events,
        partition.due,
        partition.expiring,
        partition.lead(""),
        partition.decision(""),
        *map(partition.ceiling, names),
    ]
    written = batch.leads
    decisions = [decision for lead in written for decision in lead.decisions]
    any_twice = _any_twice([lead.lead_id for lead in written]) or _any_twice([each.decision_id for each in decisions])
    keys += [event.key for lead in written for event in lead.events]
    keys += [effect.key for lead in written for effect in lead.effects]
    seconds = (DAY_COUNTS_SECONDS, EVENT_SECONDS, CONTACT_SECONDS)
    columns = (_of_all(written), _of_some(written, index), _of_decisions(decisions, batch.decision_seconds))
    everything = (batch.clock, *seconds, len(names), any_twice, *columns)
    # The store's unpacker predates MessagePack's type for bytes; both of its texts are bytes to Lua.
    packed = msgpack.packb(everything, use_bin_type=False)
    records = [lead.record for lead in written]
    entries = [pack_entry(decision.decision, decision.hits, decision.inputs) for decision in decisions]
    return ["EVALSHA", COMMIT_SHA, len(keys), *keys, packed, *records, *entries]


def _any_twice(ids: Sequence[str]) -> bool:
    return len(set(ids)) < len(ids)


def _of_all(leads: Sequence[LeadWrite]) -> tuple[list[Any], ...]:
    """Return what every lead has."""
    return (
        [lead.lead_id for lead in leads],
        [str(lead.version) for lead in leads],
        [str(lead.version + 1) for lead in leads],
        [len(lead.decisions) for lead in leads],
        [False if lead.next_review_at is None else str(lead.next_review_at) for lead in leads],
    )


def _of_some(leads: Sequence[LeadWrite], index: Mapping[str, int]) -> tuple[dict[int, Any], ...]:
    """Return what few leads have, by the leads' places in the batch, from 1."""
    places = list(enumerate(leads, 1))
    return (
        {place: lead.valid_until for place, lead in places if lead.valid_until is not None},
        {place: True for place, lead in places if lead.first_today},
        {place: (lead.escalations, lead.share) for place, lead in places if lead.escalations},
        {place: [(index[claim.name], *claim[1:]) for claim in lead.claims] for place, lead in places if lead.claims},
        {place: [event.payload for event in lead.events] for place, lead in places if lead.events},
        {place: [(e.command, *e.arguments) for e in lead.effects] for place, lead in places if lead.effects},
    )


def _of_decisions(decisions: Sequence[DecisionWrite], seconds: int) -> tuple[list[Any], ...]:
    """Return what the keys of the decisions hold, and how long."""
    longest = max(seconds, CONTACT_SECONDS)
    return (
        [decision.decision_id for decision in decisions],
        [decision.fingerprint for decision in decisions],
        [1_000 * (longest if decision.contacts else seconds) for decision in decisions],
    )


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
    replies = await _run(client, [command for query in queries for command in _gather_commands(query)])
    found: list[Snapshot | ResponseError] = []
    for query, values, reply in zip(queries, replies[::2], replies[1::2], strict=True):
        refusals = [each for each in (values, reply) if isinstance(each, ResponseError)]
        found.append(refusals[0] if refusals else _snapshot(query, values, reply))
    return found


async def commit(
    client: Store, batches: Sequence[CommitBatch], confirmed: Confirmed | None = None
) -> list[Written | ResponseError]:
    """Return what each batch came to, or why it was refused as a whole.

    Raises:
        UnconfirmedError: Too few replicas have it; it may be lost with the primary.

    """
    replies = await _run(client, [_commit_command(batch) for batch in batches], confirmed)
    return [reply if isinstance(reply, ResponseError) else _written(reply) for reply in replies]


def _written(reply: list[Any]) -> Written:
    decisions, *refused = reply
    return Written(decisions, {place - 1: why.decode() for place, why in zip(refused[::2], refused[1::2], strict=True)})
