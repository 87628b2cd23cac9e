"""The store's records as bytes, and back: all that knows how a lead and a decision's inputs lie in the store, with two modules beside it.

Both are MessagePack arrays of the core's own values; of those that there are many of, numbers (`number_row.py`), contacts and days of activity
(`activity_record.py`) are packed more tightly. A value's fields are taken from it all at once: compiled, `astuple` costs what reading three of
them does.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from struct import Struct as Layout
from typing import Any, Final

from msgspec.msgpack import Decoder, Encoder
from msgspec.structs import astuple

from model.features import UNKNOWN_CATEGORIES
from rules.decision import CeilingReading
from rules.lead import Contact, LeadState
from server.road.job import DecideInput, LastAssessment, LeadRecord
from server.store.activity_record import activity_of, packed_activity
from server.store.number_row import packed_numbers, row_of
from server.store.record_layout import IDS, DecisionInputs, StoredAssessment, StoredInputs, StoredRecord, StoredState

EMPTY: Final = LeadRecord()
NO_PROFILE: Final = EMPTY.profile
NO_CONSENT: Final = EMPTY.state.consent
NO_ACTIVITY: Final = EMPTY.activity
HASH = re.compile("[0-9a-f]{32}")
CONTACT: Final = Layout("<QBII")  # at, channel, playbook, contact_id


_encode: Final = Encoder(enc_hook=dict).encode  # the hook: read-only mappings
_decode_record: Final = Decoder(StoredRecord).decode
_decode_inputs: Final = Decoder(StoredInputs).decode


def _packed_contacts(contacts: tuple[Contact, ...]) -> bytes:
    return b"".join([CONTACT.pack(each.at, each.channel, each.playbook, each.contact_id) for each in contacts])


def _contacts(data: bytes) -> tuple[Contact, ...]:
    return tuple([Contact(*fields) for fields in CONTACT.iter_unpack(data)])


def _all_categories(categories: tuple[str, ...]) -> tuple[str, ...]:
    """Return categories for all that the schema has by now; none stay none."""
    return categories + UNKNOWN_CATEGORIES[len(categories) :] if categories else categories


def _packed_state(state: LeadState) -> tuple[Any, ...]:
    stage, since, below, contacts, consent, decided, escalated, escalation, review, verdict, deferred = astuple(state)
    granted, said = _packed_contacts(contacts), sorted(consent.items()) if consent else ()
    return stage, since, below, granted, said, decided, escalated, escalation, review, verdict, deferred


def _state(kept: StoredState) -> LeadState:
    stage, since, below, granted, said, decided, escalated, escalation, review, verdict, deferred = astuple(kept)
    contacts, consent = _contacts(granted) if granted else (), dict(said) if said else NO_CONSENT
    return LeadState(stage, since, below, contacts, consent, decided, escalated, escalation, review, verdict, deferred)


@lru_cache(maxsize=256)
def _packed_version(version: str) -> bytes | str:
    return bytes.fromhex(version) if HASH.fullmatch(version) else version


@lru_cache(maxsize=256)
def _version(name: bytes | str) -> str:
    return name.hex() if isinstance(name, bytes) else name


def _packed_assessment(last: LastAssessment, decided_at: int) -> tuple[Any, ...]:
    probability, source, version, at, stands, time_to_churn = astuple(last)
    return probability, source, _packed_version(version), 0 if at == decided_at else at, stands, time_to_churn


def _assessment(kept: StoredAssessment, decided_at: int) -> LastAssessment:
    probability, source, version, at, stands, time_to_churn = astuple(kept)
    return LastAssessment(probability, source, _version(version), at or decided_at, stands, time_to_churn)


def encode_record(record: LeadRecord) -> bytes:
    """Return a lead's record as the store keeps it; the same record gives the same bytes."""
    profile, numeric, categories, as_of, state, last, activity, activity_at = astuple(record)
    return _encode(
        (
            None if profile is NO_PROFILE or profile == NO_PROFILE else profile,
            packed_numbers(numeric),
            categories,
            as_of,
            _packed_state(state),
            None if last is None else _packed_assessment(last, state.last_decided_at),
            packed_activity(activity) if activity_at else None,
            activity_at,
        )
    )


def decode_record(data: bytes) -> LeadRecord:
    """Return the record that `encode_record` made; an unknown lead's for no bytes."""
    if not data:
        return EMPTY
    profile, numeric, categories, as_of, state, last, activity, activity_at = astuple(_decode_record(data))
    return LeadRecord(
        NO_PROFILE if profile is None else profile,
        row_of(numeric),
        _all_categories(categories),
        as_of,
        _state(state),
        None if last is None else _assessment(last, state.last_decided_at),
        NO_ACTIVITY if activity is None else activity_of(*activity),
        activity_at,
    )


def encode_inputs(
    request: DecideInput,
    record: bytes,
    now: int,
    ceilings: Mapping[str, CeilingReading],
    model_fault: str,
    reused: bool,
    tenant_zone: str,
) -> bytes:
    """Return DecisionInputs, field by field, as the log keeps them."""
    return _encode((astuple(request)[IDS:], record, now, ceilings, model_fault, reused, tenant_zone))


def decode_inputs(data: bytes, lead_id: str, decision_id: str) -> DecisionInputs:
    """Return the inputs that `encode_inputs` made."""
    kept = _decode_inputs(data)
    given = kept.request
    request = DecideInput(
        lead_id,
        decision_id,
        b"",
        given.numbers,
        _all_categories(given.categories),
        given.features_as_of,
        given.churn_probability,
        given.profile,
        given.explain,
        given.cause,
    )
    others = kept.ceilings, kept.model_fault, kept.reused, kept.tenant_zone
    return DecisionInputs(request, kept.record, kept.now, *others)
