"""Leads: profiles, consent and views, as messages and as the core's values."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from keepwell.v1 import decision_pb2, lead_pb2, lead_service_pb2
from msgspec.structs import asdict, replace

from model.features import CATEGORIES, NUMERIC
from rules.consent import newer
from rules.headroom import Headroom
from rules.lead import Consent, LeadProfile, LeadState
from rules.vocabulary import Channel, ConsentState
from server.convert.assessment import time_to_churn_fields
from server.convert.checks import Checker, timestamp_of, wire
from server.convert.escalation import escalation_message
from server.convert.request import given_profile
from server.errors import FieldViolation, InvalidFieldsError
from server.road.assess import given_of, known
from server.road.job import Change, LeadRecord
from server.road.recording import FUTURE_TOLERANCE_MS

CONSENT_STATES = frozenset(map(int, ConsentState))
CHANNELS = frozenset(map(int, Channel))


def profile_of(path: str, message: lead_pb2.LeadProfile) -> LeadProfile:
    """Return a whole profile; raises InvalidFieldsError with every bad field."""
    check = Checker()
    check.identifier(f"{path}.lead_id", message.lead_id)
    given = given_profile(check, path, message)
    check.raise_if_any()
    return replace(LeadProfile(), **given)


def profile_change(profile: LeadProfile) -> Change:
    """Return the change that replaces a lead's profile."""

    def change(record: LeadRecord, _now: int) -> LeadRecord:
        return record if record.profile == profile else replace(record, profile=profile)

    return change


def consent_change(request: lead_service_pb2.SetConsentRequest) -> Change:
    """Return the change that records what a lead said; raises InvalidFieldsError with every bad field."""
    check = Checker()
    check.identifier("lead_id", request.lead_id)
    check.text("source", request.source, 128)
    if request.request_id:
        check.identifier("request_id", request.request_id)
    scope = request.WhichOneof("scope")
    if scope is None or (scope == "all" and not request.all):
        check.note("channel", "either channel or all must be set")
    elif scope == "channel" and int(request.channel) not in CHANNELS:
        check.note("channel", f"must be one of {', '.join(decision_pb2.InterventionChannel.keys()[1:])}")
    if int(request.state) not in CONSENT_STATES:
        check.note("state", "must be CONSENT_STATE_GRANTED or CONSENT_STATE_WITHDRAWN")
    occurred_at = check.instant("occur_time", request.occur_time) if request.HasField("occur_time") else None
    check.raise_if_any()
    channels = list(Channel) if scope == "all" else [Channel(request.channel)]
    return _consent_change(channels, ConsentState(request.state), request.source, occurred_at)


def _consent_change(channels: Iterable[Channel], state: ConsentState, source: str, occurred_at: int | None) -> Change:
    def change(record: LeadRecord, now: int) -> LeadRecord:
        if occurred_at is not None and occurred_at > now + FUTURE_TOLERANCE_MS:
            raise InvalidFieldsError(FieldViolation("occur_time", "must not be in the future"))
        # A caller's clock that is a little ahead must not outdo what is said after this.
        said = Consent(state, source, now if occurred_at is None else min(occurred_at, now))
        consent = dict(record.state.consent)
        for channel in channels:
            consent[channel] = newer(consent.get(channel), said)
        if consent == record.state.consent:
            return record
        return replace(record, state=replace(record.state, consent=consent))

    return change


def consent_messages(state: LeadState) -> list[lead_pb2.ChannelConsent]:
    """Return a lead's latest word on each channel."""
    return [
        lead_pb2.ChannelConsent(
            channel=wire(Channel(channel)),
            state=wire(consent.state),
            source=consent.source,
            occur_time=timestamp_of(consent.occurred_at),
        )
        for channel, consent in sorted(state.consent.items())
    ]


def profile_message(lead_id: str, profile: LeadProfile) -> lead_pb2.LeadProfile:
    """Return a profile as the contract says it."""
    return lead_pb2.LeadProfile(lead_id=lead_id, **_given(profile))


def _given(profile: LeadProfile) -> dict[str, Any]:
    return {name: value for name, value in asdict(profile).items() if value not in ("", None)}


def features_message(record: LeadRecord, now: int) -> decision_pb2.Features | None:
    """Return a lead's known features at an instant; None when it has none."""
    behaviour = known(record, given_of(record), now)
    if behaviour.as_of is None:
        return None
    values = np.frombuffer(behaviour.numeric, dtype="<f8").tolist()
    numbers = {feature.name: value for feature, value in zip(NUMERIC, values, strict=False) if value == value}  # noqa: PLR0124 (NaN)
    named = zip(CATEGORIES, behaviour.categories, strict=False)
    return decision_pb2.Features(
        numbers=numbers,
        categories={feature.name: text for feature, text in named if text},
        as_of=timestamp_of(behaviour.as_of),
    )


def _assessment(record: LeadRecord) -> decision_pb2.ChurnRiskAssessment | None:
    last = record.assessment
    if last is None:
        return None
    return decision_pb2.ChurnRiskAssessment(
        churn_probability=last.churn_probability,
        stage=wire(record.state.stage),
        model_version=last.model_version,
        source=wire(last.source),
        assessed_at=timestamp_of(last.assessed_at),
        **time_to_churn_fields(last.time_to_churn),
    )


def _headroom(row: Headroom) -> lead_pb2.ChannelHeadroom:
    return lead_pb2.ChannelHeadroom(
        channel=wire(row.channel),
        limit_name=row.limit_name,
        used=row.used,
        limit=row.maximum,
        next_eligible_time=None if row.next_eligible_at is None else timestamp_of(row.next_eligible_at),
    )


def lead_view(
    lead_id: str, record: LeadRecord, now: int, headroom: Iterable[Headroom], cooldowns: dict[str, int], arm: str
) -> lead_pb2.LeadView:
    """Return everything that is remembered of a lead."""
    state = record.state
    view = lead_pb2.LeadView(
        profile=profile_message(lead_id, record.profile),
        features=features_message(record, now),
        assessment=_assessment(record),
        headroom=map(_headroom, headroom),
        cooldowns=[lead_pb2.Cooldown(name=name, until=timestamp_of(at)) for name, at in cooldowns.items()],
        consent=consent_messages(state),
        holdout_arm=arm,
        escalation=escalation_message(state.escalation, lead_id) if state.escalation else None,
    )
    if state.last_decided_at:
        view.last_decided_at.CopyFrom(timestamp_of(state.last_decided_at))
    if state.next_review_at is not None:
        view.next_review_time.CopyFrom(timestamp_of(state.next_review_at))
    return view
