"""The store's records as bytes, and back. The only file that knows how a lead and a decision's inputs lie in the store."""

from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import NamedTuple

from keepwell.store.v1 import decision_inputs_pb2, lead_record_pb2

from model.activity import Activity, DayCounts
from rules.decision import CeilingReading
from rules.lead import Consent, Contact, LeadProfile, LeadState, OpenEscalation
from rules.vocabulary import AssessmentSource, Cause, ConsentState, Stage
from server.road.job import DecideInput, LastAssessment, LeadRecord

EMPTY = LeadRecord()
TEXTS = ("time_zone", "country", "region", "currency", "owner", "manager", "segment")


class DecisionInputs(NamedTuple):
    """All that one decision was made from; with the policy and the model it names, enough to make it again."""

    request: DecideInput
    record: bytes
    now: int
    ceilings: dict[str, CeilingReading]
    model_fault: str


def _profile_message(profile: LeadProfile) -> lead_record_pb2.ProfileRecord:
    message = lead_record_pb2.ProfileRecord(value=profile.value)
    for name in TEXTS:
        text = getattr(profile, name)
        if text:
            setattr(message, name, text)
    if profile.attributes:
        message.attributes.update(profile.attributes)
    if profile.contacts:
        message.contacts.update(profile.contacts)
    return message


def _profile(message: lead_record_pb2.ProfileRecord) -> LeadProfile:
    return LeadProfile(
        message.time_zone,
        message.country,
        message.region,
        message.value if message.HasField("value") else None,
        message.currency,
        message.owner,
        message.manager,
        message.segment,
        MappingProxyType(dict(message.attributes)),
        MappingProxyType(dict(message.contacts)),
    )


def _activity_message(activity: Activity) -> lead_record_pb2.ActivityRecord:
    days = [counts.day for counts in activity.days]
    amounts = {place: counts.hundredths for place, counts in enumerate(activity.days) if counts.hundredths}
    return lead_record_pb2.ActivityRecord(
        day_steps=[*days[:1], *(later - earlier for earlier, later in pairwise(days))],
        counts=[count for counts in activity.days for count in counts[1:6]],
        amount_places=list(amounts),
        hundredths=amounts.values(),
        first_day=activity.first_day + 1,
        last_day=activity.last_day + 1,
        previous_day=activity.previous_day + 1,
        visit_day=activity.visit_day + 1,
        inquiry_day=activity.inquiry_day + 1,
        active_days=activity.active_days,
    )


def _activity(message: lead_record_pb2.ActivityRecord) -> Activity:
    amounts = dict(zip(message.amount_places, message.hundredths, strict=True))
    counts = list(message.counts)
    days = [
        DayCounts._make((day, *counts[5 * place : 5 * place + 5], amounts.get(place, 0)))
        for place, day in enumerate(accumulate(message.day_steps))
    ]
    return Activity(
        tuple(days),
        message.first_day - 1,
        message.last_day - 1,
        message.previous_day - 1,
        message.visit_day - 1,
        message.inquiry_day - 1,
        message.active_days,
    )


def encode_record(record: LeadRecord) -> bytes:
    """Return a lead's record as the store keeps it; the same record gives the same bytes."""
    state, last = record.state, record.assessment
    instants = [contact.at for contact in state.contacts]
    message = lead_record_pb2.LeadRecord(
        numeric_features=record.numeric,
        category_features=record.categories,
        features_as_of=record.features_as_of or 0,
        stage=state.stage,
        stage_since=state.stage_since,
        below_stage_since=state.below_stage_since or 0,
        contact_steps=[*instants[:1], *(later - earlier for earlier, later in pairwise(instants))],
        contact_channels=bytes(contact.channel for contact in state.contacts),
        contact_playbooks=[contact.playbook for contact in state.contacts],
        contact_ids=[contact.contact_id for contact in state.contacts],
        last_decided_at=state.last_decided_at,
        last_escalated_at=state.last_escalated_at or 0,
        next_review_at=state.next_review_at or 0,
    )
    if record.activity_at:
        message.activity.CopyFrom(_activity_message(record.activity))
        message.activity_at = record.activity_at
    if record.profile != EMPTY.profile:
        message.profile.CopyFrom(_profile_message(record.profile))
    for channel, consent in sorted(state.consent.items()):
        message.consent.add(
            channel=channel, state=consent.state, source=consent.source, occurred_at=consent.occurred_at
        )
    if state.escalation is not None:
        message.escalation.CopyFrom(lead_record_pb2.EscalationRecord(**state.escalation._asdict()))
    if last is not None:
        message.churn_probability = last.churn_probability
        message.assessment_source = last.source
        message.model_version = last.model_version
        message.assessed_at = last.assessed_at
    return message.SerializeToString(deterministic=True)


def _state(message: lead_record_pb2.LeadRecord) -> LeadState:
    contacts = map(
        Contact,
        accumulate(message.contact_steps),
        message.contact_channels,
        message.contact_playbooks,
        message.contact_ids,
    )
    raised = message.escalation
    return LeadState(
        Stage(message.stage),
        message.stage_since,
        message.below_stage_since or None,
        tuple(contacts),
        {c.channel: Consent(ConsentState(c.state), c.source, c.occurred_at) for c in message.consent},
        message.last_decided_at,
        message.last_escalated_at or None,
        OpenEscalation(raised.escalation_id, raised.level, raised.target, raised.raised_at, raised.due_at)
        if message.HasField("escalation")
        else None,
        message.next_review_at or None,
    )


def decode_record(data: bytes) -> LeadRecord:
    """Return the record that `encode_record` made; an unknown lead's for no bytes."""
    if not data:
        return EMPTY
    message = lead_record_pb2.LeadRecord.FromString(data)
    last = None
    if message.assessment_source:
        source = AssessmentSource(message.assessment_source)
        last = LastAssessment(message.churn_probability, source, message.model_version, message.assessed_at)
    return LeadRecord(
        _profile(message.profile) if message.HasField("profile") else EMPTY.profile,
        message.numeric_features,
        tuple(message.category_features),
        message.features_as_of or None,
        _state(message),
        last,
        _activity(message.activity) if message.activity_at else EMPTY.activity,
        message.activity_at,
    )


def encode_inputs(inputs: DecisionInputs) -> bytes:
    """Return a decision's inputs as the log keeps them."""
    request = inputs.request
    message = decision_inputs_pb2.DecisionInputs(
        lead_record=inputs.record,
        now=inputs.now,
        number_places=[place for place, _ in request.numbers],
        numbers=[number for _, number in request.numbers],
        category_places=[place for place, _ in request.categories],
        categories=[category for _, category in request.categories],
        features_as_of=request.features_as_of or 0,
        churn_probability=request.churn_probability,
        explain=request.explain,
        cause=request.cause,
        model_fault=inputs.model_fault,
    )
    if request.profile:
        profile = LeadProfile()._replace(**request.profile)
        message.profile.CopyFrom(_profile_message(profile))
    for name, (used, maximum, releases_at) in inputs.ceilings.items():
        message.ceilings.add(name=name, used=used, maximum=maximum, releases_at=releases_at or 0)
    return message.SerializeToString(deterministic=True)


def decode_inputs(data: bytes, lead_id: str, decision_id: str) -> DecisionInputs:
    """Return the inputs that `encode_inputs` made."""
    message = decision_inputs_pb2.DecisionInputs.FromString(data)
    given = _profile(message.profile)
    request = DecideInput(
        lead_id,
        decision_id,
        b"",
        tuple(zip(message.number_places, message.numbers, strict=True)),
        tuple(zip(message.category_places, message.categories, strict=True)),
        message.features_as_of or None,
        message.churn_probability if message.HasField("churn_probability") else None,
        {name: value for name, value in given._asdict().items() if value not in ("", None, {})},
        message.explain,
        Cause(message.cause),
    )
    ceilings = {c.name: CeilingReading(c.used, c.maximum, c.releases_at or None) for c in message.ceilings}
    return DecisionInputs(request, message.lead_record, message.now, ceilings, message.model_fault)
