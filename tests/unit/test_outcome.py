from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rules.lead import Consent, Contact, LeadState, RaisedEscalation
from rules.outcome import Report, Reported, Standing, after_report
from rules.vocabulary import Channel, ConsentState, EscalationState, InterventionOutcome

NOW = 1_772_470_800_000
CONTACT = Contact(NOW - 5, Channel.SMS, 77, 1234)
OTHER = Contact(NOW - 5, Channel.EMAIL, 78, 9999)
STATE = LeadState(contacts=(OTHER, CONTACT))
SENT = {"DELIVERED", "ENGAGED", "CONVERTED", "IGNORED", "OPTED_OUT", "COMPLAINED"}


def report(outcome: str, was_sent: bool | None = None, occurred_at: int = NOW) -> Report:
    return Report(1234, Channel.SMS, InterventionOutcome[outcome], was_sent, occurred_at)


def play(*reports: Report, state: LeadState = STATE) -> list[Reported]:
    """Return what each of some reports in a row comes to."""
    found, standing = [], Standing()
    for each in reports:
        reported = after_report(state, standing, each, NOW)
        state, standing = reported.state, reported.standing
        found.append(reported)
    return found


@st.composite
def reports(draw: st.DrawFn) -> Report:
    outcome = draw(st.sampled_from(InterventionOutcome))
    was_sent = draw(st.sampled_from([None, True] if outcome.name in SENT else [None, True, False]))
    return report(outcome.name, was_sent)


@given(st.lists(reports(), max_size=8))
def test_a_contact_counts_unless_it_failed_unsent_and_nothing_ever_said_that_it_was_sent(given: list[Report]) -> None:
    found = play(*given)
    sent = any(each.outcome.name in SENT or each.was_sent for each in given)
    failed_unsent = any(each.outcome is InterventionOutcome.FAILED and each.was_sent is False for each in given)
    after = found[-1].state if found else STATE
    assert (CONTACT in after.contacts) == (sent or not failed_unsent)
    assert OTHER in after.contacts


@given(st.lists(reports(), max_size=8))
def test_a_contact_is_given_back_at_most_once_and_never_after_it_was_sent(given: list[Report]) -> None:
    found = play(*given)
    given_back = [place for place, each in enumerate(found) if each.given_back]
    taken_again = [place for place, each in enumerate(found) if each.taken_again]
    said_sent = [place for place, each in enumerate(given) if each.outcome.name in SENT or each.was_sent]
    assert len(given_back) <= 1
    assert len(taken_again) <= len(given_back)
    if given_back and said_sent:
        assert given_back[0] < said_sent[0] == taken_again[0]


@given(st.lists(reports(), max_size=6), st.randoms())
def test_the_order_of_reports_does_not_change_what_counts(given: list[Report], random: object) -> None:
    shuffled = list(given)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    before, after = play(*given), play(*shuffled)
    if before:
        assert set(before[-1].state.contacts) == set(after[-1].state.contacts)
        assert before[-1].state.consent == after[-1].state.consent


def test_a_failure_that_does_not_say_whether_it_was_sent_gives_nothing_back() -> None:
    (reported,) = play(report("FAILED"))
    assert reported == Reported(STATE, Standing())


def test_a_contact_that_is_taken_again_lies_where_it_lay() -> None:
    *_, last = play(report("FAILED", False), report("DELIVERED"))
    assert last.taken_again == CONTACT
    assert last.state.contacts == (OTHER, CONTACT)


def test_a_contact_that_the_history_no_longer_holds_is_not_given_back() -> None:
    (reported,) = play(report("FAILED", False), state=LeadState(contacts=(OTHER,)))
    assert reported.given_back is None
    assert reported.standing == Standing()


def test_an_opt_out_is_about_its_channel_and_a_complaint_about_all() -> None:
    (opted_out,) = play(report("OPTED_OUT"))
    assert set(opted_out.state.consent) == {Channel.SMS}
    (complained,) = play(report("COMPLAINED"))
    assert set(complained.state.consent) == set(Channel)
    assert complained.state.consent[Channel.PUSH] == Consent(ConsentState.WITHDRAWN, "outcome", NOW)


def test_consent_that_was_given_after_the_opt_out_stands() -> None:
    granted = Consent(ConsentState.GRANTED, "form", NOW)
    state = replace(STATE, consent={Channel.SMS: granted})
    (late,) = play(report("OPTED_OUT", occurred_at=NOW - 1), state=state)
    assert late.state.consent == {Channel.SMS: granted}
    (same_time,) = play(report("OPTED_OUT"), state=state)
    assert same_time.state.consent[Channel.SMS].state is ConsentState.WITHDRAWN


def test_a_conversion_since_the_escalation_resolves_it_and_one_before_it_does_not() -> None:
    state = replace(STATE, escalation=RaisedEscalation("x.e", 1, "manager", NOW - 10, NOW + 10))
    (before,) = play(report("CONVERTED", occurred_at=NOW - 11), state=state)
    assert before.state.escalation == state.escalation
    assert before.closed is None
    (since,) = play(report("CONVERTED", occurred_at=NOW - 10), state=state)
    assert since.state.escalation is None
    assert since.closed is not None
    assert (since.closed.state, since.closed.closed_at) == (EscalationState.RESOLVED, NOW)
    (engaged,) = play(report("ENGAGED"), state=state)
    assert engaged.state.escalation == state.escalation
