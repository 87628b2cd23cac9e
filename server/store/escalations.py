"""The index of escalations: by id, by when they were raised, by when they are due, and the log of their changes.

All of it is written as effects of the write that changes the lead's record, so that it never says anything else than the record.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rules.decision import Ruling
from rules.escalating import closed_by, is_open
from rules.lead import RaisedEscalation
from rules.vocabulary import EscalationState
from server.store.connection import Store
from server.store.effects import Effect, append, index, remember, unindex
from server.store.escalation_record import decode_escalation, encode_escalation
from server.store.keys import CONTACT_SECONDS, Partition

LOG_FIELD = "e"


def place_of(case: RaisedEscalation) -> str:
    """Return the member by which an escalation lies in the indexes: the later raised, the greater."""
    return f"{case.raised_at:015d} {case.escalation_id}"


def effects_of_decision(
    partition: Partition, lead_id: str, before: RaisedEscalation | None, ruling: Ruling
) -> list[Effect]:
    """Return what a decision that changed the lead's escalation writes: how the one before it ended, and the one that it raised."""
    after = ruling.next_state.escalation
    closed = closed_by(before, after, ruling.decision) if before is not None else None
    changed = [case for case in (closed, after) if case is not None]
    return [effect for case in changed for effect in effects_of(partition, lead_id, case)]


def effects_of(partition: Partition, lead_id: str, case: RaisedEscalation) -> list[Effect]:
    """Return what one change of an escalation writes."""
    record, place = encode_escalation(case, lead_id), place_of(case)
    key = partition.escalation(case.escalation_id)
    effects = [append(partition.escalation_log, LOG_FIELD, record), index(partition.escalations, place)]
    if is_open(case):
        effects += [remember(key, record), index(partition.open_escalations, place)]
    else:
        effects += [remember(key, record, CONTACT_SECONDS), unindex(partition.open_escalations, place)]
    if case.state is EscalationState.OPEN and case.due_at is not None:
        return [*effects, index(partition.due_escalations, lead_id, case.due_at)]
    return [*effects, unindex(partition.due_escalations, lead_id)]


class Entry(NamedTuple):
    """One escalation of the index, with its lead and the place where it lies."""

    place: str
    case: RaisedEscalation
    lead_id: str


async def read_escalation(client: Store, partitions: Sequence[Partition], escalation_id: str) -> Entry | None:
    """Return an escalation by its id; None when there is none, or it was closed too long ago."""
    for value in await client.mget([partition.escalation(escalation_id) for partition in partitions]):
        if value is not None:
            return _entry(value)
    return None


async def read_places(
    client: Store, partitions: Sequence[Partition], before: str, count: int, *, only_open: bool
) -> list[str]:
    """Return up to so many places, newest first, before a place ("": from the newest)."""
    start = f"({before}" if before else "+"
    places: list[str] = []
    for partition in partitions:
        index_key = partition.open_escalations if only_open else partition.escalations
        members = await client.zrange(index_key, start, "-", desc=True, bylex=True, offset=0, num=count)
        places += [member.decode() for member in members]
    return sorted(places, reverse=True)[:count]


async def read_entries(client: Store, partitions: Sequence[Partition], places: Sequence[str]) -> list[Entry]:
    """Return the escalations at these places, in their order; without those whose record is gone."""
    ids = [place.partition(" ")[2] for place in places]
    found: dict[str, Entry] = {}
    for partition in partitions:
        values = await client.mget([partition.escalation(each) for each in ids]) if ids else []
        found |= {each: _entry(value) for each, value in zip(ids, values, strict=True) if value is not None}
    return [found[each] for each in ids if each in found]


async def read_changes(client: Store, partition: Partition, after: str, count: int) -> tuple[list[Entry], str]:
    """Return the changes after an entry of the log of changes, at most so many, and the last one's id."""
    replies = await client.xrange(partition.escalation_log, min=f"({after}", max="+", count=count)
    if not replies:
        return [], after
    return [_entry(fields[LOG_FIELD.encode()]) for _, fields in replies], replies[-1][0].decode()


def _entry(value: bytes) -> Entry:
    case, lead_id = decode_escalation(value)
    return Entry(place_of(case), case, lead_id)
