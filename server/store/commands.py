"""The commands that gather and commit, and what their replies say: from values to words and back."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgpack
from msgspec.structs import astuple

from model.events import LATE_DAYS
from server.store.batch import (
    NEW_LEAD,
    Claim,
    CommitBatch,
    DecisionWrite,
    GatherQuery,
    LeadWrite,
    Snapshot,
    StoredLead,
    Written,
)
from server.store.entry import pack_entry
from server.store.keys import CONTACT_SECONDS
from server.store.scripts import COMMIT, GATHER

GATHER_SHA = hashlib.sha1(GATHER.encode()).hexdigest()
COMMIT_SHA = hashlib.sha1(COMMIT.encode()).hexdigest()
DAY_COUNTS_SECONDS = 3 * 86_400
EVENT_SECONDS = (LATE_DAYS + 1) * 86_400


def gather_commands(query: GatherQuery) -> list[list[Any]]:
    """Return what reads leads and decisions, and the script that then says which instant it is, and reads all else.

    In this order: were the instant read first, a record could be newer than it. What others write between the two is nobody's loss: the commit
    refuses a lead that has changed.
    """
    partition = query.partition
    lead, decision = partition.lead(""), partition.decision("")
    values: list[Any] = ["MGET"]
    values += [lead + each for each in query.lead_ids]
    values += [decision + each for each in query.decision_ids]
    keys: list[Any] = [partition.log, partition.clock, *map(partition.day, query.days), lead, decision]
    arguments: list[Any] = [query.clock, query.tomorrow_at, len(query.ceilings)]
    for name, rolling_ms, start_at, boundary_at, maximum in query.ceilings:
        keys.append(partition.ceiling(name))
        arguments += (rolling_ms, start_at, boundary_at, maximum)
    keys += query.further_keys
    return [values, ["EVALSHA", GATHER_SHA, len(keys), *keys, *arguments]]


def snapshot_of(query: GatherQuery, values: list[bytes | None], reply: list[Any]) -> Snapshot:
    """Return what the replies to both commands say."""
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


def parse_lead(stored: bytes | None) -> StoredLead:
    """Return the version and the record of what lies under a lead's key; `NEW_LEAD` when nothing does."""
    if stored is None:
        return NEW_LEAD
    head, _, record = stored.partition(b"\n")
    return StoredLead(int(head.partition(b" ")[0]), record)


def last_log_id(stored: bytes | None) -> str:
    """Return the log id of the newest decision about a lead, from what lies under its key; "0-0" when there is none."""
    return "0-0" if stored is None else stored.partition(b"\n")[0].partition(b" ")[2].decode()


def commit_command(batch: CommitBatch) -> list[Any]:
    """Return the script's call that writes a batch."""
    partition, columns = batch.partition, _Columns(batch.decision_seconds)
    for lead in batch.leads:
        columns.add(lead)
    names = columns.ceilings()
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
        *columns.event_keys,
        *columns.effect_keys,
    ]
    seconds = (DAY_COUNTS_SECONDS, EVENT_SECONDS, CONTACT_SECONDS)
    everything = (batch.clock, *seconds, len(names), columns.any_twice(), *columns.packable(names))
    # The store's unpacker predates MessagePack's type for bytes; both of its texts are bytes to Lua.
    packed = msgpack.packb(everything, use_bin_type=False)
    return ["EVALSHA", COMMIT_SHA, len(keys), *keys, packed, *columns.records, *columns.entries]


class _Columns:
    """What a batch's leads have, one list for each thing: a table for each lead would cost the store twice as much."""

    def __init__(self, decision_seconds: int) -> None:
        self._lifetime = 1_000 * decision_seconds
        self._lifetime_with_contacts = 1_000 * max(decision_seconds, CONTACT_SECONDS)
        self.records: list[bytes] = []
        self.entries: list[bytes] = []
        self.event_keys: list[str] = []
        self.effect_keys: list[str] = []
        # What every lead has.
        self._ids: list[str] = []
        self._versions: list[str] = []
        self._next_versions: list[str] = []
        self._decided: list[int] = []
        self._reviews: list[str | bool] = []
        # What few leads have, by their places in the batch, from 1.
        self._valid_until: dict[int, int] = {}
        self._first_today: dict[int, bool] = {}
        self._escalations: dict[int, tuple[int, float]] = {}
        self._claims: dict[int, Sequence[Claim]] = {}
        self._events: dict[int, list[bytes]] = {}
        self._effects: dict[int, list[Any]] = {}
        # What the keys of decisions hold, and how long.
        self._decision_ids: list[str] = []
        self._fingerprints: list[bytes] = []
        self._lifetimes: list[int] = []

    def add(self, lead: LeadWrite) -> None:
        """Add what is written of a lead."""
        # Its parts at once: one by one they would cost a compiled module as much as all else here.
        (
            lead_id,
            version,
            record,
            valid_until,
            first_today,
            escalations,
            share,
            claims,
            decisions,
            events,
            next_review_at,
            effects,
        ) = astuple(lead)
        self.records.append(record)
        self._ids.append(lead_id)
        self._versions.append(str(version))
        self._next_versions.append(str(version + 1))
        self._decided.append(len(decisions))
        self._reviews.append(False if next_review_at is None else str(next_review_at))
        for decision in decisions:
            self._add_decision(decision)
        place = len(self._ids)
        if valid_until is not None:
            self._valid_until[place] = valid_until
        if first_today:
            self._first_today[place] = True
        if escalations:
            self._escalations[place] = (escalations, share)
        if claims:
            self._claims[place] = claims
        if events:
            self._events[place] = [event.payload for event in events]
            self.event_keys += [event.key for event in events]
        if effects:
            self._effects[place] = [(effect.command, *effect.arguments) for effect in effects]
            self.effect_keys += [effect.key for effect in effects]

    def _add_decision(self, decision: DecisionWrite) -> None:
        decision_id, fingerprint, message, hits, inputs, contacts = astuple(decision)
        self.entries.append(pack_entry(message, hits, inputs))
        self._decision_ids.append(decision_id)
        self._fingerprints.append(fingerprint)
        self._lifetimes.append(self._lifetime_with_contacts if contacts else self._lifetime)

    def ceilings(self) -> list[str]:
        """Return the names of the tenant-wide limits that units are taken of."""
        return sorted({claim.name for claims in self._claims.values() for claim in claims})

    def any_twice(self) -> bool:
        """Return whether a lead or a decision comes more than once."""
        ids, decision_ids = self._ids, self._decision_ids
        return len(set(ids)) < len(ids) or len(set(decision_ids)) < len(decision_ids)

    def packable(self, ceilings: Sequence[str]) -> tuple[Any, Any, Any]:
        """Return what all leads have, what some have, and the decisions, as the script takes them."""
        index = {name: place for place, name in enumerate(ceilings, 1)}
        claims = {
            place: [(index[name], amount, maximum, start) for name, amount, maximum, start in of_lead]
            for place, of_lead in self._claims.items()
        }
        return (
            (self._ids, self._versions, self._next_versions, self._decided, self._reviews),
            (self._valid_until, self._first_today, self._escalations, claims, self._events, self._effects),
            (self._decision_ids, self._fingerprints, self._lifetimes),
        )


def written_of(reply: list[Any]) -> Written:
    """Return what a commit came to."""
    decisions, refused = reply[0], reply[1:]
    whys = zip(refused[::2], refused[1::2], strict=True)
    return Written(decisions, {place - 1: why.decode() for place, why in whys})
