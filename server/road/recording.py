"""Events: what one does to a lead's record, and the decision that it may lead to."""

from hashlib import blake2b

from msgspec.structs import replace

from model.activity import DAY_MS, with_event
from model.events import LATE_DAYS
from rules.consent import newer
from rules.lead import Consent
from rules.vocabulary import Cause, ConsentState
from server.errors import FieldViolation, InvalidFieldsError
from server.road.job import DecideInput, EventInput, LeadRecord

FUTURE_TOLERANCE_MS = 60_000  # how far a caller's clock may be ahead of the store's
OPT_OUT_SOURCE = "event"


def check_event(event: EventInput, now: int) -> None:
    """Raise InvalidFieldsError unless the event happened within the window in which it is accepted."""
    if event.occurred_at > now + FUTURE_TOLERANCE_MS:
        raise InvalidFieldsError(FieldViolation(f"{event.path}occur_time", "must not be in the future"))
    if event.occurred_at < now - LATE_DAYS * DAY_MS:
        description = f"must not be more than {LATE_DAYS} days ago"
        raise InvalidFieldsError(FieldViolation(f"{event.path}occur_time", description))


def after_event(record: LeadRecord, event: EventInput, now: int) -> LeadRecord:
    """Return a lead's record after an event that arrives now."""
    activity = with_event(record.activity, event.kind, event.occurred_at, event.value)
    state = record.state
    if event.optouts:
        said = Consent(ConsentState.WITHDRAWN, OPT_OUT_SOURCE, min(event.occurred_at, now))
        changed: dict[int, Consent] = {channel: newer(state.consent.get(channel), said) for channel in event.optouts}
        state = replace(state, consent={**state.consent, **changed})
    return unsettled(replace(record, activity=activity, activity_at=now, state=state))


def unsettled(record: LeadRecord) -> LeadRecord:
    """Return a record whose last assessment does not stand: something has changed since."""
    last = record.assessment
    return record if last is None else replace(record, assessment=replace(last, stands=False))


def event_request(tenant: str, event: EventInput) -> DecideInput:
    """Return the request for the decision that an event asks for; the same event asks for the same decision.

    Its time is part of that: an event's id is known for a month, the decision for three.
    """
    name = f"{tenant}/{event.lead_id} {event.event_id} {event.occurred_at}".encode()
    decision_id = blake2b(name, digest_size=15, person=b"event decision").hexdigest()
    return DecideInput(event.lead_id, decision_id, bytes(16), cause=Cause.EVENT)
