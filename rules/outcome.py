"""What an outcome does to its lead: limits given back, consent withdrawn, an escalation resolved.

Reports come late, in any order, and contradict each other. Whether an intervention was sent is decided once and for all by the first report
that says so; until then, a failure that sent nothing gives its contact back, once.
"""

from collections.abc import Iterable
from typing import NamedTuple

from msgspec.structs import replace

from rules.consent import newer
from rules.escalating import resolved
from rules.lead import Consent, Contact, LeadState, RaisedEscalation
from rules.vocabulary import Channel, ConsentState, InterventionOutcome

SOURCE = "outcome"
SAY_SENT = frozenset(
    {
        InterventionOutcome.DELIVERED,
        InterventionOutcome.ENGAGED,
        InterventionOutcome.CONVERTED,
        InterventionOutcome.IGNORED,
        InterventionOutcome.OPTED_OUT,
        InterventionOutcome.COMPLAINED,
    }
)


class Report(NamedTuple):
    """One outcome of one intervention; `was_sent` None: not said."""

    contact_id: int
    channel: Channel
    outcome: InterventionOutcome
    was_sent: bool | None
    occurred_at: int


class Standing(NamedTuple):
    """What earlier reports of the intervention came to: it was sent, its contact was given back, or (neither) nothing is known."""

    sent: bool = False
    given_back: Contact | None = None


class Reported(NamedTuple):
    """What a report comes to; `given_back` and `taken_again` are the contact if this report did that."""

    state: LeadState
    standing: Standing
    given_back: Contact | None = None
    taken_again: Contact | None = None
    closed: RaisedEscalation | None = None


def after_report(state: LeadState, standing: Standing, report: Report, now: int) -> Reported:
    """Return what follows from a report; the same state when nothing does."""
    reported = _counted(state, standing, report)
    if report.outcome is InterventionOutcome.OPTED_OUT:
        reported = reported._replace(state=_withdrawn(reported.state, (report.channel,), report.occurred_at))
    elif report.outcome is InterventionOutcome.COMPLAINED:
        reported = reported._replace(state=_withdrawn(reported.state, Channel, report.occurred_at))
    case = state.escalation
    converted = report.outcome is InterventionOutcome.CONVERTED
    if converted and case is not None and report.occurred_at >= case.raised_at:
        closed = resolved(case, "recovered: the lead converted", now)
        reported = reported._replace(state=replace(reported.state, escalation=None), closed=closed)
    return reported


def _counted(state: LeadState, standing: Standing, report: Report) -> Reported:
    """Return the lead's contacts as they count from now on."""
    if standing.sent:
        return Reported(state, standing)
    if report.outcome in SAY_SENT or report.was_sent:
        again = standing.given_back
        after = state if again is None else replace(state, contacts=tuple(sorted((*state.contacts, again))))
        return Reported(after, Standing(sent=True), taken_again=again)
    not_sent = report.outcome is InterventionOutcome.FAILED and report.was_sent is False
    contact = contact_of(state, report.contact_id)
    if not not_sent or standing.given_back is not None or contact is None:
        return Reported(state, standing)
    contacts = list(state.contacts)
    contacts.remove(contact)
    return Reported(replace(state, contacts=tuple(contacts)), Standing(given_back=contact), given_back=contact)


def contact_of(state: LeadState, contact_id: int) -> Contact | None:
    """Return the contact of an intervention; None when the history does not hold it, or no longer."""
    return next((contact for contact in state.contacts if contact.contact_id == contact_id), None)


def _withdrawn(state: LeadState, channels: Iterable[Channel], occurred_at: int) -> LeadState:
    said = Consent(ConsentState.WITHDRAWN, SOURCE, occurred_at)
    consent = {**state.consent, **{int(channel): newer(state.consent.get(channel), said) for channel in channels}}
    return state if consent == state.consent else replace(state, consent=consent)
