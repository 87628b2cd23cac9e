"""The store's records as bytes, and back. The only file that knows how a lead and a decision's inputs lie in the store.

Both are MessagePack arrays: the core's own tuples, field by field, in the order in which the classes name them. So a class may only
grow at its end: an array that is shorter than its class is an older record, and what it lacks takes the default. Contacts, of which there are
many, are packed more tightly. (Protocol buffers cost three times as much here, and a second definition of every field.)
"""

from collections.abc import Mapping, Sequence
from struct import Struct
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from model.activity import Activity, DayCounts
from rules.decision import CeilingReading
from rules.lead import Consent, Contact, LeadProfile, LeadState, OpenEscalation
from rules.vocabulary import AssessmentSource, Cause, ConsentState, Stage
from server.road.job import DecideInput, LastAssessment, LeadRecord

EMPTY = LeadRecord()
CONTACT = Struct("<QBII")  # at, channel, playbook, contact_id
STAGES: Mapping[int, Stage] = {stage: stage for stage in Stage}
SOURCES: Mapping[int, AssessmentSource] = {source: source for source in AssessmentSource}
CONSENT_STATES: Mapping[int, ConsentState] = {state: state for state in ConsentState}


class DecisionInputs(NamedTuple):
    """All that one decision was made from; with the policy and the model it names, enough to make it again."""

    request: DecideInput
    record: bytes
    now: int
    ceilings: Mapping[str, CeilingReading]
    model_fault: str


def _pack(value: Sequence[Any]) -> bytes:
    data: bytes = msgpack.packb(value, default=dict)  # `default`: read-only mappings
    return data


def _unpack(data: bytes) -> tuple[Any, ...]:
    value: tuple[Any, ...] = msgpack.unpackb(data, use_list=False, strict_map_key=False)
    return value


def _packed_contacts(contacts: Sequence[Contact]) -> bytes:
    return b"".join([CONTACT.pack(*contact) for contact in contacts])


def _contacts(data: bytes) -> tuple[Contact, ...]:
    return tuple(map(Contact._make, CONTACT.iter_unpack(data)))


def encode_record(record: LeadRecord) -> bytes:
    """Return a lead's record as the store keeps it; the same record gives the same bytes."""
    profile, numeric, categories, as_of, state, last, activity, activity_at = record
    stage, since, below, contacts, consent, *rest = state
    kept_state = (stage, since, below, _packed_contacts(contacts), sorted(consent.items()), *rest)
    known_profile = None if profile == EMPTY.profile else profile
    return _pack(
        (known_profile, numeric, categories, as_of, kept_state, last, activity if activity_at else None, activity_at)
    )


def decode_record(data: bytes) -> LeadRecord:
    """Return the record that `encode_record` made; an unknown lead's for no bytes."""
    if not data:
        return EMPTY
    profile, numeric, categories, as_of, state, last, activity, *rest = _unpack(data)
    return LeadRecord(
        EMPTY.profile if profile is None else _profile(*profile),
        numeric,
        categories,
        as_of,
        _state(*state),
        None if last is None else _assessment(*last),
        EMPTY.activity if activity is None else _activity(*activity),
        *rest,
    )


def _profile(*fields: Any) -> LeadProfile:
    profile = LeadProfile(*fields)
    attributes, contacts = MappingProxyType(profile.attributes), MappingProxyType(profile.contacts)
    return profile._replace(attributes=attributes, contacts=contacts)


def _state(stage: int, since: int, below: int | None, contacts: bytes, consent: Sequence[Any], *rest: Any) -> LeadState:
    said = {channel: Consent(CONSENT_STATES[state], *how) for channel, (state, *how) in consent}
    decided_at, escalated_at, raised, *later = rest
    opened = None if raised is None else OpenEscalation(*raised)
    return LeadState(
        STAGES[stage],
        since,
        below,
        _contacts(contacts) if contacts else (),
        said,
        decided_at,
        escalated_at,
        opened,
        *later,
    )


def _assessment(probability: float, source: int, *rest: Any) -> LastAssessment:
    return LastAssessment(probability, SOURCES[source], *rest)


def _activity(days: Sequence[Sequence[int]], *rest: int) -> Activity:
    return Activity(tuple([DayCounts(*counts) for counts in days]), *rest)


def encode_inputs(inputs: DecisionInputs) -> bytes:
    """Return a decision's inputs as the log keeps them."""
    request, record, now, ceilings, fault = inputs
    return _pack((request[3:], record, now, ceilings, fault))


def decode_inputs(data: bytes, lead_id: str, decision_id: str) -> DecisionInputs:
    """Return the inputs that `encode_inputs` made."""
    given, record, now, ceilings, fault = _unpack(data)
    request = DecideInput(lead_id, decision_id, b"", *given)
    readings = {name: CeilingReading(*reading) for name, reading in ceilings.items()}
    return DecisionInputs(request._replace(cause=Cause(request.cause)), record, now, readings, fault)
