"""Escalations and the requests about them, as messages and as the core's values."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from functools import partial
from hashlib import blake2b

from keepwell.v1 import decision_pb2
from keepwell.v1 import escalation_service_pb2 as messages

from rules.escalating import acknowledged, reassigned, resolved
from rules.lead import RaisedEscalation
from server.convert.checks import Checker, timestamp_of, wire
from server.errors import PageTokenInvalidError
from server.road.escalating import EscalationStep, Step
from server.store.keys import FINGERPRINT_BYTES

LONGEST_NAME, LONGEST_RESOLUTION = 128, 512
PLACE = re.compile(r"[0-9]{15} [!-~]{1,140}")
Mutation = (
    messages.AcknowledgeEscalationRequest | messages.ResolveEscalationRequest | messages.ReassignEscalationRequest
)


def escalation_message(case: RaisedEscalation, lead_id: str) -> decision_pb2.Escalation:
    """Return an escalation as it stands."""
    message = decision_pb2.Escalation(
        escalation_id=case.escalation_id,
        level=case.level,
        target=case.target,
        reason=case.reason,
        recommendations=case.recommendations,
        state=wire(case.state),
        lead_id=lead_id,
        stage=wire(case.stage),
        raise_time=timestamp_of(case.raised_at),
        acknowledged_by=case.acknowledged_by,
        resolution=case.resolution,
        update_time=timestamp_of(case.changed_at),
    )
    if case.due_at is not None:
        message.due_time.CopyFrom(timestamp_of(case.due_at))
    if case.acknowledged_at is not None:
        message.acknowledge_time.CopyFrom(timestamp_of(case.acknowledged_at))
    if case.closed_at is not None:
        message.close_time.CopyFrom(timestamp_of(case.closed_at))
    return message


def check_mutation(request: Mutation) -> Step:
    """Return the step that a request asks for; raises InvalidFieldsError with every bad field."""
    check = Checker()
    if request.request_id:
        check.identifier("request_id", request.request_id)
    check.identifier("escalation_id", request.escalation_id)
    step: Step
    if isinstance(request, messages.AcknowledgeEscalationRequest):
        _check_name(check, "by", request.by)
        step = partial(_acknowledged, request.by)
    elif isinstance(request, messages.ReassignEscalationRequest):
        _check_name(check, "target", request.target)
        step = partial(_reassigned, request.target)
    else:
        check.text("resolution", request.resolution, LONGEST_RESOLUTION)
        step = partial(_resolved, request.resolution)
    check.raise_if_any()
    return step


def _acknowledged(by: str, case: RaisedEscalation, now: int) -> RaisedEscalation:
    return acknowledged(case, by, now)


def _reassigned(target: str, case: RaisedEscalation, now: int) -> RaisedEscalation:
    return reassigned(case, target, now)


def _resolved(resolution: str, case: RaisedEscalation, now: int) -> RaisedEscalation:
    return resolved(case, resolution, now)


def _check_name(check: Checker, path: str, name: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        check.note(path, f"must be 1 to {LONGEST_NAME} printable characters")


def step_of(request: Mutation, step: Step, lead_id: str) -> EscalationStep:
    """Return what the road takes. The fingerprint names the method: the bodies of two may have the same bytes."""
    body = request.DESCRIPTOR.full_name.encode() + b"\0" + request.SerializeToString(deterministic=True)
    fingerprint = blake2b(body, digest_size=FINGERPRINT_BYTES).digest()
    return EscalationStep(lead_id, request.escalation_id, step, request.request_id, fingerprint)


def page_token(place: str) -> str:
    """Return the token for what comes after a place."""
    return urlsafe_b64encode(place.encode()).decode()


def place_of_token(token: str) -> str:
    """Return the place of a token, "" for none; raises PageTokenInvalidError."""
    try:
        place = urlsafe_b64decode(token.encode("ascii")).decode("ascii")
    except (Base64Error, ValueError) as error:
        raise PageTokenInvalidError("page_token was not issued by ListEscalations") from error
    if place and not PLACE.fullmatch(place):
        raise PageTokenInvalidError("page_token was not issued by ListEscalations")
    return place
