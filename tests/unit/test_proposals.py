"""What rules propose, what speaks against it, and whether that passes with time."""

from collections.abc import Iterator
from contextlib import contextmanager

from rules.compiler import compile_policy
from rules.decide import Decider
from rules.decision import Assessment, Decision, Ruling, Situation
from rules.lead import Consent, Contact, LeadProfile, LeadState, playbook_code
from rules.source import read_policy
from rules.vocabulary import AssessmentSource, Cause, Channel, ConsentState, ReasonCode, Stage, Verdict

HOUR = 3_600_000
NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z, 13:00 in Berlin
HEAD = """
schema: keepwell.policy/v1
name: proposals
interventions:
  early_warning: [{channel: email, playbook: news, cost: 1}]
  active_risk: [{channel: email, playbook: offer}]
  critical_risk: [{channel: email, playbook: news}]
max_interventions: {early_warning: 2}
"""
TEXT = """
rules:
  - name: text
    when: {all: [{fact: lead.value, gt: 1}]}
    then: {grant: {channel: sms, playbook: hello}}
"""
ONE_A_DAY = "limits: [{name: daily, channel: email, max: 1, window: {rolling: 24h}, when_blocked: defer}]\n"


@contextmanager
def deciding(rest: str) -> Iterator[Decider]:
    decider = Decider(compile_policy(read_policy(HEAD + rest), "v"), sample_every=1)
    try:
        yield decider
        assert (decider.faults, decider.disagreements) == (0, 0)
    finally:
        decider.close()


def ruled(rest: str, state: LeadState = LeadState(), country: str = "") -> Ruling:  # noqa: B008 (a value)
    assessment = Assessment(0.5, AssessmentSource.CALLER, "", NOON)
    profile = LeadProfile(time_zone="Europe/Berlin", country=country, value=10.0)
    with deciding(rest) as decider:
        return decider.decide(Situation("d", "lead", NOON, Cause.REQUEST, profile, state, assessment, 100.0))


def decided(rest: str, state: LeadState = LeadState(), country: str = "") -> Decision:  # noqa: B008 (a value)
    return ruled(rest, state, country).decision


MAILED = LeadState(contacts=(Contact(NOON - HOUR, Channel.EMAIL, playbook_code("other"), 1),))


def test_what_two_rules_propose_is_granted_once_by_the_first_of_them() -> None:
    again = """
rules:
  - name: again
    when: {all: [{fact: lead.value, gt: 1}]}
    then: {grant: {channel: email, playbook: news, cost: 9}}
"""
    (action,) = decided(again).interventions
    assert (action.rule, action.cost) == ("grant.early_warning.email.news", 1.0)


def test_what_is_full_passes_and_is_put_off() -> None:
    decision = decided(ONE_A_DAY, MAILED)
    (withheld,) = decision.suppressions
    assert (decision.verdict, withheld.reason) == (Verdict.DEFER, ReasonCode.LIMIT_CHANNEL)
    assert withheld.next_eligible_at == NOON + 23 * HOUR


def test_of_more_than_a_limit_allows_enough_have_to_pass() -> None:
    contacts = tuple(Contact(NOON - hours * HOUR, Channel.EMAIL, playbook_code("other"), 1) for hours in (3, 1))
    (withheld,) = decided(ONE_A_DAY, LeadState(contacts=contacts)).suppressions
    assert (withheld.observed, withheld.limit, withheld.next_eligible_at) == (2.0, 1.0, NOON + 23 * HOUR)


def test_beside_a_contact_that_is_granted_one_that_is_full_brings_no_earlier_review() -> None:
    put_off, granted = decided(ONE_A_DAY, MAILED), decided(ONE_A_DAY + TEXT, MAILED)
    assert (put_off.verdict, put_off.next_review_at) == (Verdict.DEFER, NOON + 23 * HOUR)
    assert (granted.verdict, granted.next_review_at) == (Verdict.CONTACT, NOON + 24 * HOUR)


def test_beside_what_never_passes_a_full_limit_has_no_time() -> None:
    consent = {int(Channel.EMAIL): Consent(ConsentState.WITHDRAWN, "call", 1)}
    decision = decided(ONE_A_DAY, LeadState(contacts=MAILED.contacts, consent=consent))
    assert decision.verdict is Verdict.SUPPRESS
    assert {(each.reason, each.next_eligible_at) for each in decision.suppressions} == {
        (ReasonCode.OPTED_OUT, None),
        (ReasonCode.LIMIT_CHANNEL, None),
    }


def test_quiet_hours_that_drop_a_contact_say_when_they_end_and_put_nothing_off() -> None:
    quiet = 'quiet_hours: [{channels: [email], local: "12:00-15:00", when_blocked: %s}]\n'
    dropped, deferred = decided(quiet % "suppress"), decided(quiet % "defer")
    assert (dropped.verdict, deferred.verdict) == (Verdict.SUPPRESS, Verdict.DEFER)
    times = {each.next_eligible_at for decision in (dropped, deferred) for each in decision.suppressions}
    assert times == {NOON + 2 * HOUR}


def test_a_limit_that_ends_inside_the_legal_hours_of_another_country_ends_there() -> None:
    legal = 'legal_hours: [{channels: [email], countries: [US], local: "15:00-21:00"}]\n'
    mailed = LeadState(contacts=(Contact(NOON - 23 * HOUR, Channel.EMAIL, playbook_code("other"), 1),))
    times = {
        country: {each.next_eligible_at for each in decided(ONE_A_DAY + legal, mailed, country).suppressions}
        for country in ("DE", "US")
    }
    assert times == {"DE": {NOON + HOUR}, "US": {NOON + 2 * HOUR}}


def test_a_contact_is_remembered_for_ninety_days() -> None:
    gone, kept = (Contact(NOON - 90 * 24 * HOUR + ms, Channel.PUSH, playbook_code("other"), 1) for ms in (0, 1))
    after = ruled("", LeadState(contacts=(gone, kept))).next_state.contacts
    assert [contact.at for contact in after] == [kept.at, NOON]
    assert ruled("", LeadState(contacts=(kept,))).next_state.contacts[0] == kept


def test_a_decision_holds_until_the_first_of_its_channels_closes() -> None:
    quiet = """
quiet_hours:
  - {channels: [%s], local: "15:00-16:00", when_blocked: defer}
  - {channels: [%s], local: "18:00-19:00", when_blocked: defer}
"""
    rulings = [ruled(TEXT + quiet % channels) for channels in (("email", "sms"), ("sms", "email"), ("email", "push"))]
    assert [len(ruling.decision.interventions) for ruling in rulings] == [2, 2, 2]
    assert [ruling.holds_until for ruling in rulings] == [NOON + 2 * HOUR] * 3


def test_what_a_lead_would_get_in_the_stage_that_it_is_kept_from_waits_for_the_end_of_hysteresis() -> None:
    calmer = LeadState(stage=Stage.ACTIVE_RISK, below_stage_since=NOON - HOUR, last_decided_at=NOON - HOUR)
    decision = decided("hysteresis: {de_escalate_after: 24h}", calmer)
    kept = [each for each in decision.suppressions if each.reason is ReasonCode.STAGE_HYSTERESIS]
    assert decision.stage is Stage.ACTIVE_RISK
    assert [(each.playbook, each.next_eligible_at) for each in kept] == [("news", NOON + 23 * HOUR)]
