"""What gather reads and commit writes of one partition, as plain values. Records are bytes here: what is in them is `record.py`'s concern."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct

from server.store.effects import Effect
from server.store.keys import Partition


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
    record: bytes


NEW_LEAD = StoredLead(0, b"")


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
