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
from server.store.replicas import Confirmed, execute
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
    """What was read of one partition, at one instant of the store's clock."""

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


NEW_LEAD = StoredLead(0, "0-0", b"")


def parse_lead(stored: bytes | None) -> StoredLead:
    """Return the parts of a stored record; `NEW_LEAD` for a missing one."""
    if stored is None:
        return NEW_LEAD
    head, _, record = stored.partition(b"\n")
    version, _, log_id = head.partition(b" ")
    return StoredLead(int(version), log_id.decode(), record)


def _gather_arguments(query: GatherQuery) -> list[Any]:
    partition = query.partition
    keys: list[str] = [partition.log, partition.clock, *map(partition.day, query.days)]
    arguments: list[Any] = [query.clock, query.tomorrow_at, len(query.ceilings), len(query.lead_ids)]
    for name, rolling_ms, start_at, boundary_at, maximum in query.ceilings:
        keys.append(partition.ceiling(name))
        arguments += (rolling_ms, start_at, boundary_at, maximum)
    lead, decision = partition.lead(""), partition.decision("")
    keys += [lead + each for each in query.lead_ids]
    keys += [decision + each for each in query.decision_ids]
    keys += query.further_keys
    return [GATHER_SHA, len(keys), *keys, *arguments]


def _snapshot(query: GatherQuery, reply: list[Any]) -> Snapshot:
    now, leads, others, readings, leads_today, escalated_today = reply
    decisions = len(query.decision_ids)
    further = zip(query.further_keys, others[decisions:], strict=True)
    return Snapshot(
        int(now),
        [parse_lead(stored) for stored in leads],
        others[:decisions],
        [(used, int(release) if release else None) for used, release in readings],
        leads_today,
        escalated_today,
        {key: value for key, value in further if value is not None},
    )


def _commit_arguments(batch: CommitBatch) -> list[Any]:
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
    keys += [event.key for lead in written for event in lead.events]
    keys += [effect.key for lead in written for effect in lead.effects]
    seconds = (DAY_COUNTS_SECONDS, EVENT_SECONDS, CONTACT_SECONDS)
    columns = (_of_all(written), _of_some(written, index), _of_decisions(decisions, batch.decision_seconds))
    everything = (batch.clock, *seconds, len(names), *columns)
    # The store's unpacker predates MessagePack's type for bytes; both of its texts are bytes to Lua.
    packed = msgpack.packb(everything, use_bin_type=False)
    records = [lead.record for lead in written]
    entries = [pack_entry(decision.decision, decision.hits, decision.inputs) for decision in decisions]
    return [COMMIT_SHA, len(keys), *keys, packed, *records, *entries]


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


async def _run(client: Store, calls: Sequence[list[Any]], confirmed: Confirmed | None = None) -> list[Any]:
    """Return the scripts' replies or errors, from one round trip; scripts the store has forgotten are loaded and run again.

    NOSCRIPT means that nothing was done, so running such a call again cannot commit twice.
    """
    replies = await _round_trip(client, calls, confirmed)
    forgotten = [place for place, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if forgotten:
        await load_scripts(client)
        again = await _round_trip(client, [calls[place] for place in forgotten], confirmed)
        for place, reply in zip(forgotten, again, strict=True):
            replies[place] = reply
    return replies


async def _round_trip(client: Store, calls: Sequence[list[Any]], confirmed: Confirmed | None) -> list[Any]:
    """Return what the store answered, refusals among it."""
    if len(calls) == 1 and confirmed is None:  # nearly always, and a pipeline costs the client half as much again
        try:
            return [await client.execute_command("EVALSHA", *calls[0])]
        except ResponseError as refusal:
            return [refusal]
    pipeline = client.pipeline(transaction=False)
    for call in calls:
        pipeline.execute_command("EVALSHA", *call)
    return await execute(pipeline, confirmed)


async def gather(client: Store, queries: Sequence[GatherQuery]) -> list[Snapshot | ResponseError]:
    """Return one snapshot for each query, or why the store gave none, from one round trip."""
    replies = await _run(client, [_gather_arguments(query) for query in queries])
    return [
        reply if isinstance(reply, ResponseError) else _snapshot(query, reply)
        for query, reply in zip(queries, replies, strict=True)
    ]


async def commit(
    client: Store, batches: Sequence[CommitBatch], confirmed: Confirmed | None = None
) -> list[list[str] | ResponseError]:
    """Return, for each lead of each batch, its log ids joined by blanks, or the word for why it was refused; or a batch's error.

    Raises:
        UnconfirmedError: Too few replicas have it; it may be lost with the primary.

    """
    replies = await _run(client, [_commit_arguments(batch) for batch in batches], confirmed)
    return [reply if isinstance(reply, ResponseError) else [answer.decode() for answer in reply] for reply in replies]
