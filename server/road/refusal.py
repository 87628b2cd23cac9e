"""What a job may be refused for, once its lead is known: the caller is told, and the lead's other jobs go on."""

from rules.escalating import EscalationStateError
from rules.lead import MAX_ATTRIBUTES
from server.errors import (
    EscalationNotFoundError,
    FieldViolation,
    IdempotencyMismatchError,
    InterventionNotFoundError,
    InvalidFieldsError,
)
from server.road.job import DecideInput, LeadRecord
from server.road.recording import FUTURE_TOLERANCE_MS

# Anything else is a fault of ours.
REFUSALS = (
    InvalidFieldsError,
    IdempotencyMismatchError,
    InterventionNotFoundError,
    EscalationNotFoundError,
    EscalationStateError,
)


def check_time(request: DecideInput, now: int) -> InvalidFieldsError | None:
    """Return what is wrong with the request's own times."""
    as_of = request.features_as_of
    if as_of is not None and as_of > now + FUTURE_TOLERANCE_MS:
        return InvalidFieldsError(FieldViolation("features.as_of", "must not be in the future"))
    return None


def check_attributes(record: LeadRecord, request: DecideInput) -> InvalidFieldsError | None:
    """Return what is wrong with the request's attributes once they lie over those that are stored."""
    given = request.profile.get("attributes")
    if given and len(record.profile.attributes.keys() | given.keys()) > MAX_ATTRIBUTES:
        description = f"must be at most {MAX_ATTRIBUTES}, those that are stored included"
        return InvalidFieldsError(FieldViolation("profile.attributes", description))
    return None
