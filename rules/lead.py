"""What is remembered of a lead: profile, consent, contact history, stage.

These are values: a decision returns the next state and changes none. Instants are integer milliseconds since the epoch, UTC.
"""

from collections.abc import Mapping
from types import MappingProxyType
from zlib import crc32

from msgspec import Struct

from rules.vocabulary import ConsentState, EscalationState, Stage

MAX_ATTRIBUTES = 32
NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


class LeadProfile(Struct, frozen=True, array_like=True):
    """Who the lead is; an empty string or None means unknown."""

    time_zone: str = ""
    country: str = ""
    region: str = ""
    value: float | None = None
    currency: str = ""
    owner: str = ""
    manager: str = ""
    segment: str = ""
    attributes: Mapping[str, str] = NO_ATTRIBUTES
    contacts: Mapping[str, str] = NO_ATTRIBUTES


class Contact(Struct, frozen=True, array_like=True, order=True):
    """One granted intervention; `playbook` is `playbook_code` of its name."""

    at: int
    channel: int
    playbook: int
    contact_id: int


class Consent(Struct, frozen=True, array_like=True):
    """The latest word on one channel, by the time at which it was given."""

    state: ConsentState
    source: str
    occurred_at: int


class RaisedEscalation(Struct, frozen=True, array_like=True):
    """An escalation as it stands; `escalating.py` says what may become of it."""

    escalation_id: str
    level: int
    target: str
    raised_at: int
    due_at: int | None  # when it goes on to `next_target`, or expires; None once somebody has it, or it is closed
    stage: Stage = Stage.CRITICAL_RISK  # what raised it
    acknowledge_ms: int = 3_600_000  # how long each target has
    next_target: str = ""  # whom it goes to when nobody acknowledges it in time; empty: nobody
    state: EscalationState = EscalationState.OPEN
    reason: str = ""
    recommendations: tuple[str, ...] = ()
    acknowledged_by: str = ""
    acknowledged_at: int | None = None
    resolution: str = ""
    closed_at: int | None = None
    changed_at: int = 0


class LeadState(Struct, frozen=True):
    """What decisions so far have left behind."""

    stage: Stage = Stage.NONE
    stage_since: int = 0
    below_stage_since: int | None = None  # since when the risk has been under `stage`'s band; None: it is in it
    contacts: tuple[Contact, ...] = ()  # oldest first
    consent: Mapping[int, Consent] = MappingProxyType({})  # by channel number
    last_decided_at: int = 0
    last_escalated_at: int | None = None
    escalation: RaisedEscalation | None = None  # open or acknowledged
    next_review_at: int | None = None
    verdict: int = 0  # the last decision's, a number of Verdict; 0: there was none
    deferred_to: int | None = None  # until when that decision put a contact off


def playbook_code(playbook: str) -> int:
    """Return the 32-bit code under which a playbook's contacts are remembered.

    Two playbooks that share a code (1 in 4 billion) count as one, which can only contact less.
    """
    return crc32(playbook.encode())
