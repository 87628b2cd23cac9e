"""The store's records as bytes, and back. The only file that knows how a lead and a decision's inputs lie in the store.

Both are MessagePack arrays: the core's own tuples, field by field, in the order in which the classes name them. So a class may only
grow at its end: an array that is shorter than its class is an older record, and what it lacks takes the default. Contacts, of which there are
many, and days of activity are packed more tightly. (Protocol buffers cost three times as much here, and a second definition of every field.)
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import compress
from struct import Struct
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from model.activity import Activity, DayCounts
from model.features import UNKNOWN_NUMBERS
from model.survival.estimate import Estimate, NoEstimateReason, TimeToChurn
from rules.decision import CeilingReading
from rules.lead import Consent, Contact, LeadProfile, LeadState
from rules.vocabulary import AssessmentSource, Cause, ConsentState, Stage
from server.road.job import DecideInput, LastAssessment, LeadRecord
from server.store.escalation_record import escalation_of

EMPTY = LeadRecord()
HASH = re.compile("[0-9a-f]{32}")
UNKNOWN_TAILS = [
    UNKNOWN_NUMBERS[: 8 * width] for width in (32, 16, 8, 4, 2, 1)
]  # longest first: any tail is a sum of these
DECIDED_AT = LeadState._fields.index("last_decided_at")
CONTACT = Struct("<QBII")  # at, channel, playbook, contact_id
TIME = Struct("<6H")  # TimeToChurn, field by field: days in tenths, probabilities in ten-thousandths
BEYOND = 0xFFFF
REASONS: Mapping[int, NoEstimateReason] = {reason: reason for reason in NoEstimateReason}
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
    reused: bool = False  # whether the record's own assessment was used again


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


def _trimmed(numbers: bytes) -> bytes:
    """Return numbers without the unknown ones at their end."""
    for tail in UNKNOWN_TAILS:
        numbers = numbers.removesuffix(tail)
    return numbers


def _padded(numbers: bytes) -> bytes:
    """Return numbers at the length that the schema has by now; empty ones stay so."""
    return numbers + UNKNOWN_NUMBERS[len(numbers) :] if numbers else numbers


def _packed_activity(activity: Activity) -> tuple[Any, ...]:
    """Return the days as columns; dates count back from the newest."""
    days, *rest = activity
    dates, quarters, *counters = zip(*days, strict=True)
    newest = dates[-1]
    back = bytes([newest - day for day in dates])
    return (newest, back, bytes(quarters), *map(_packed_column, counters)), *rest


def _packed_column(column: tuple[int, ...]) -> Any:
    """Return a number a day; where most are 0, the places of the others and those, or nothing when there are none."""
    zeros = column.count(0)
    if zeros == len(column):
        return b""
    if 2 * zeros <= len(column):
        return _octets(column)
    return bytes(compress(range(len(column)), column)), _octets(tuple(filter(None, column)))


def _octets(numbers: tuple[int, ...]) -> bytes | tuple[int, ...]:
    try:
        return bytes(numbers)
    except ValueError:  # one is negative, or larger than a byte
        return numbers


_day_counts = partial(tuple.__new__, DayCounts)  # half the time of DayCounts._make


def _column(packed: Any, days: int) -> Sequence[int]:
    if not packed:
        return bytes(days)
    if not isinstance(packed[0], bytes):
        numbers: Sequence[int] = packed
        return numbers
    column = [0] * days
    for place, number in zip(*packed, strict=True):
        column[place] = number
    return column


def _packed_assessment(last: LastAssessment, decided_at: int) -> tuple[Any, ...]:
    """Return an assessment without what the record has anyway, and its model's hash as bytes."""
    probability, source, version, assessed_at, stands, estimate = last
    name = bytes.fromhex(version) if HASH.fullmatch(version) else version
    at = 0 if assessed_at == decided_at else assessed_at
    return probability, source, name, at, stands, _packed_estimate(*estimate)


def _packed_estimate(time: TimeToChurn | None, reason: NoEstimateReason | None) -> bytes | int:
    if time is None:
        return reason or 0
    days = [BEYOND if each is None else round(each * 10) for each in time[:3]]
    return TIME.pack(*days, *[round(chance * 10_000) for chance in time[3:]])


def _estimate(kept: bytes | int) -> Estimate:
    if isinstance(kept, int):
        return None, REASONS.get(kept)
    numbers = TIME.unpack(kept)
    median, early, late = (None if tenths == BEYOND else tenths / 10 for tenths in numbers[:3])
    time = TimeToChurn(median, early, late, *[number / 10_000 for number in numbers[3:]])
    return time, NoEstimateReason.BEYOND_HORIZON if median is None else None


def encode_record(record: LeadRecord) -> bytes:
    """Return a lead's record as the store keeps it; the same record gives the same bytes."""
    profile, numeric, categories, as_of, state, last, activity, activity_at = record
    stage, since, below, contacts, consent, *rest = state
    kept_state = (stage, since, below, _packed_contacts(contacts), sorted(consent.items()), *rest)
    known_profile = None if profile == EMPTY.profile else profile
    kept_last = None if last is None else _packed_assessment(last, state.last_decided_at)
    did = _packed_activity(activity) if activity_at else None
    return _pack((known_profile, _trimmed(numeric), categories, as_of, kept_state, kept_last, did, activity_at))


def decode_record(data: bytes) -> LeadRecord:
    """Return the record that `encode_record` made; an unknown lead's for no bytes."""
    if not data:
        return EMPTY
    profile, numeric, categories, as_of, state, last, activity, *rest = _unpack(data)
    return LeadRecord(
        EMPTY.profile if profile is None else _profile(*profile),
        _padded(numeric),
        categories,
        as_of,
        _state(*state),
        None if last is None else _assessment(state[DECIDED_AT], *last),
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
    opened = None if raised is None else escalation_of(*raised)
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


def _assessment(
    decided_at: int,
    probability: float,
    source: int,
    name: str | bytes,
    at: int,
    stands: bool = False,
    kept: bytes | int = 0,
) -> LastAssessment:
    version = name.hex() if isinstance(name, bytes) else name
    return LastAssessment(probability, SOURCES[source], version, at or decided_at, stands, _estimate(kept))


def _activity(days: Sequence[Any], *rest: int) -> Activity:
    newest, back, *columns = days
    dates = [newest - each for each in back]
    columns += [b""] * (len(DayCounts._fields) - 1 - len(columns))  # an older record has fewer
    rows = zip(dates, *[_column(column, len(back)) for column in columns], strict=True)
    return Activity(tuple(map(_day_counts, rows)), *rest)


def encode_inputs(inputs: DecisionInputs) -> bytes:
    """Return a decision's inputs as the log keeps them."""
    request, *rest = inputs
    return _pack((request._replace(numbers=_trimmed(request.numbers))[3:], *rest))


def decode_inputs(data: bytes, lead_id: str, decision_id: str) -> DecisionInputs:
    """Return the inputs that `encode_inputs` made."""
    given, record, now, ceilings, *rest = _unpack(data)
    request = DecideInput(lead_id, decision_id, b"", *given)
    request = request._replace(numbers=_padded(request.numbers), cause=Cause(request.cause))
    readings = {name: CeilingReading(*reading) for name, reading in ceilings.items()}
    return DecisionInputs(request, record, now, readings, *rest)
