"""The store's records as bytes, and back. With `activity_record.py`, all that knows how a lead and a decision's inputs lie in the store.

Both are MessagePack arrays of the core's own values; contacts, of which there are many, and days of activity are packed more tightly.
"""

import re
from functools import lru_cache
from struct import Struct as Layout
from typing import Any, Final

from msgspec.msgpack import Decoder, Encoder

from model.features import UNKNOWN_CATEGORIES
from rules.lead import Contact, LeadState
from server.road.job import DecideInput, LastAssessment, LeadRecord
from server.store.activity_record import activity_of, packed_activity
from server.store.record_layout import DecisionInputs, StoredAssessment, StoredInputs, StoredRecord, StoredState

EMPTY: Final = LeadRecord()
HASH = re.compile("[0-9a-f]{32}")
CONTACT: Final = Layout("<QBII")  # at, channel, playbook, contact_id


_encode = Encoder(enc_hook=dict).encode  # the hook: read-only mappings
_decode_record = Decoder(StoredRecord).decode
_decode_inputs = Decoder(StoredInputs).decode


def _packed_contacts(contacts: tuple[Contact, ...]) -> bytes:
    return b"".join([CONTACT.pack(each.at, each.channel, each.playbook, each.contact_id) for each in contacts])


def _contacts(data: bytes) -> tuple[Contact, ...]:
    return tuple([Contact(*fields) for fields in CONTACT.iter_unpack(data)])


def _all_categories(categories: tuple[str, ...]) -> tuple[str, ...]:
    """Return categories for all that the schema has by now; none stay none."""
    return categories + UNKNOWN_CATEGORIES[len(categories) :] if categories else categories


def _packed_state(state: LeadState) -> tuple[Any, ...]:
    return (
        state.stage,
        state.stage_since,
        state.below_stage_since,
        _packed_contacts(state.contacts),
        sorted(state.consent.items()) if state.consent else (),
        state.last_decided_at,
        state.last_escalated_at,
        state.escalation,
        state.next_review_at,
        state.verdict,
        state.deferred_to,
    )


def _state(kept: StoredState) -> LeadState:
    return LeadState(
        kept.stage,
        kept.stage_since,
        kept.below_stage_since,
        _contacts(kept.contacts) if kept.contacts else (),
        dict(kept.consent),
        kept.last_decided_at,
        kept.last_escalated_at,
        kept.escalation,
        kept.next_review_at,
        kept.verdict,
        kept.deferred_to,
    )


@lru_cache(maxsize=256)
def _packed_version(version: str) -> bytes | str:
    return bytes.fromhex(version) if HASH.fullmatch(version) else version


@lru_cache(maxsize=256)
def _version(name: bytes | str) -> str:
    return name.hex() if isinstance(name, bytes) else name


def _packed_assessment(last: LastAssessment, decided_at: int) -> tuple[Any, ...]:
    at = 0 if last.assessed_at == decided_at else last.assessed_at
    return (
        last.churn_probability,
        last.source,
        _packed_version(last.model_version),
        at,
        last.stands,
        last.time_to_churn,
    )


def _assessment(kept: StoredAssessment, decided_at: int) -> LastAssessment:
    version, at = _version(kept.model_version), kept.assessed_at or decided_at
    return LastAssessment(kept.churn_probability, kept.source, version, at, kept.stands, kept.time_to_churn)


def encode_record(record: LeadRecord) -> bytes:
    """Return a lead's record as the store keeps it; the same record gives the same bytes."""
    last = record.assessment
    return _encode(
        (
            None if record.profile is EMPTY.profile or record.profile == EMPTY.profile else record.profile,
            record.numeric,
            record.categories,
            record.features_as_of,
            _packed_state(record.state),
            None if last is None else _packed_assessment(last, record.state.last_decided_at),
            packed_activity(record.activity) if record.activity_at else None,
            record.activity_at,
        )
    )


def decode_record(data: bytes) -> LeadRecord:
    """Return the record that `encode_record` made; an unknown lead's for no bytes."""
    if not data:
        return EMPTY
    kept = _decode_record(data)
    last = kept.assessment
    return LeadRecord(
        EMPTY.profile if kept.profile is None else kept.profile,
        kept.numeric,
        _all_categories(kept.categories),
        kept.features_as_of,
        _state(kept.state),
        None if last is None else _assessment(last, kept.state.last_decided_at),
        EMPTY.activity if kept.activity is None else activity_of(*kept.activity),
        kept.activity_at,
    )


def encode_inputs(inputs: DecisionInputs) -> bytes:
    """Return a decision's inputs as the log keeps them."""
    asked = inputs.request
    request = (
        asked.numbers,
        asked.categories,
        asked.features_as_of,
        asked.churn_probability,
        asked.profile,
        asked.explain,
        asked.cause,
    )
    others = inputs.ceilings, inputs.model_fault, inputs.reused, inputs.tenant_zone
    return _encode((request, inputs.record, inputs.now, *others))


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
