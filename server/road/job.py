"""What travels down the road, and what comes back: plain values, made from requests by `server.convert`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from msgspec import Struct

from model.activity import Activity
from model.events import EventType
from model.survival.estimate import PackedEstimate
from rules.lead import LeadProfile, LeadState
from rules.vocabulary import AssessmentSource, Cause, Channel
from server.store.effects import Effect
from server.store.keys import Partition


class LastAssessment(Struct, frozen=True):
    """The newest word on a lead's risk, for whoever looks at it later."""

    churn_probability: float
    source: AssessmentSource
    model_version: str
    assessed_at: int
    stands: bool = False  # nothing that a model sees has changed since
    time_to_churn: PackedEstimate = 0


class LeadRecord(Struct, frozen=True):
    """All that the store remembers of one lead.

    `numeric` is what callers told: a little-endian float64 array in the order of the feature schema (NaN: unknown), ended by a known one.
    `activity` is what events told, the newest of which arrived at `activity_at` (0: none ever did).
    """

    profile: LeadProfile = LeadProfile()
    numeric: bytes = b""
    categories: tuple[str, ...] = ()
    features_as_of: int | None = None
    state: LeadState = LeadState()
    assessment: LastAssessment | None = None
    activity: Activity = Activity()
    activity_at: int = 0


class DecideInput(Struct, frozen=True):
    """One request for a decision: what the caller adds to what is known of the lead."""

    lead_id: str
    decision_id: str
    fingerprint: bytes
    numbers: bytes = b""  # as in LeadRecord; NaN was not given
    categories: tuple[str, ...] = ()  # in the order of the feature schema; "" was not given
    features_as_of: int | None = None
    churn_probability: float | None = None
    profile: Mapping[str, Any] = {}  # the fields of LeadProfile that were given
    explain: bool = False
    cause: Cause = Cause.REQUEST


class Asked(NamedTuple):
    """A decision that is asked for: about whom, and what reads the request; that may raise InvalidFieldsError."""

    lead_id: str
    read: Callable[[], DecideInput]


class Committed(Struct, frozen=True):
    """A decision in the log: its message without the trace, the rules that hit, and whether it was there before."""

    decision: bytes
    hits: bytes
    replayed: bool


class EventInput(Struct, frozen=True):
    """One thing that a lead did; `optouts` are the channels that it closed, `path` where it stands in its request."""

    lead_id: str
    event_id: str
    kind: EventType
    occurred_at: int
    value: float
    optouts: tuple[Channel, ...]
    payload: bytes  # the event as the log keeps it
    path: str = ""


class Recorded(NamedTuple):
    """An event that is in the log, by this request or (`duplicate`) before it."""

    duplicate: bool


class Reviewed(NamedTuple):
    """A lead that was reviewed without anything new: it is looked at again later, and the feed says nothing."""


class Changed(NamedTuple):
    """A lead after a change that is no decision, or as it was read."""

    record: LeadRecord
    now: int


class Amended(NamedTuple):
    """An amendment that is in force, by this request or (`replayed`) before it; `answer` is of its own kind."""

    answer: bytes
    replayed: bool = False


class Amending(NamedTuple):
    """What an amendment comes to: the lead's next record (the same one: unchanged), what is written with it, and its answer."""

    record: LeadRecord
    effects: Sequence[Effect]
    answer: Amended


class Amendment(Protocol):
    """A change of a lead's record that brings other writes along and is no decision: an outcome, or a step of an escalation."""

    def keys(self, partition: Partition) -> Sequence[str]:
        """Return the keys that it looks at, besides the lead's."""

    def apply(self, partition: Partition, record: LeadRecord, now: int, known: Mapping[str, bytes]) -> Amending:
        """Return what it comes to; `known` has those keys that are there. May raise an error of the caller's: then nothing is written."""


Change = Callable[[LeadRecord, int], LeadRecord]  # (record, now) -> the next record; may raise, then nothing is written
Outcome = Committed | Reviewed | Changed | Recorded | Amended | Exception
