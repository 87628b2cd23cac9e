"""A policy's own tests: cases of facts, history and time, and the decision that is wanted. No server is needed.

A case names only what matters: what it does not want is not compared. Suppressions are wanted to be among those found.
"""

from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from msgspec.structs import replace
from pydantic import AfterValidator, Field

from rules.compiler import compile_policy
from rules.decide import Decider
from rules.decision import Assessment, CeilingReading, Decision, Situation, Suppression
from rules.document import ChannelName, Duration, Name, Part, PolicyDocument
from rules.lead import Consent, Contact, LeadProfile, LeadState, playbook_code
from rules.source import content_hash
from rules.validation import validated
from rules.vocabulary import AssessmentSource, Cause, Channel, ConsentState, Stage, Verdict
from rules.yaml_text import read_yaml


def _is_time(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("a time has an offset, such as 2026-03-02T15:00:00Z")
    return text


Time = Annotated[str, AfterValidator(_is_time)]
NEVER_HELD_OUT, ALWAYS_HELD_OUT = 100.0, 0.0
StageWord = Literal["none", "early_warning", "active_risk", "critical_risk"]


class PastContact(Part):
    """A contact that was granted so long ago."""

    channel: ChannelName
    playbook: Name
    ago: Duration


class GivenLead(Part):
    """The lead's profile."""

    time_zone: str = "America/New_York"
    country: str = "US"
    region: str = ""
    value: float | None = None
    currency: str = ""
    segment: str = ""
    attributes: dict[str, str] = Field(default_factory=dict)


class Given(Part):
    """What the decision is made from."""

    now: Time
    churn_probability: float = Field(ge=0, le=1)
    lead: GivenLead = GivenLead()
    history: tuple[PastContact, ...] = ()
    consent: dict[ChannelName, Literal["granted", "withdrawn"]] = Field(default_factory=dict)
    stage: StageWord = "none"
    below_for: Duration | None = None
    escalated_ago: Duration | None = None
    escalation_share_full: bool = False
    tenant_used: dict[str, int] = Field(default_factory=dict)
    features_age: Duration | None = Field(default=None, description="absent: the probability is the caller's")
    held_out: bool = False


class WantedSuppression(Part):
    """A suppression that must be among those found."""

    channel: ChannelName | None = None
    reason: str
    limit: str | None = None
    free_at: Time | None = None


class Want(Part):
    """What must come out."""

    verdict: Literal["contact", "defer", "suppress", "no_action", "held_out"] | None = None
    stage: StageWord | None = None
    interventions: tuple[str, ...] | None = Field(default=None, description="channel/playbook, in order, and no others")
    suppressions: tuple[WantedSuppression, ...] = ()
    escalation: str | None = Field(default=None, description="the target, or none")


class Case(Part):
    """One test."""

    name: str
    given: Given
    want: Want


class PolicyTests(Part):
    """A file of tests."""

    schema_: Literal["keepwell.policy-tests/v1"] = Field(alias="schema")
    cases: tuple[Case, ...] = Field(min_length=1)


class CaseResult(NamedTuple):
    """How one case came out."""

    name: str
    passed: bool
    differences: list[str]


def read_tests(source: str) -> PolicyTests:
    """Return a file's tests; raises PolicyInvalidError with line and column."""
    return validated(read_yaml(source), PolicyTests)


def run_policy_tests(document: PolicyDocument, tests: PolicyTests) -> list[CaseResult]:
    """Return how each case comes out."""
    decider = Decider(compile_policy(document, content_hash(document)), sample_every=1)
    try:
        return [_result(case, decider.decide(_situation(case.given)).decision) for case in tests.cases]
    finally:
        decider.close()


def _instant(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


def _situation(given: Given) -> Situation:
    now = _instant(given.now)
    caller = given.features_age is None
    source = AssessmentSource.CALLER if caller else AssessmentSource.MODEL
    as_of = None if given.features_age is None else now - given.features_age
    assessment = Assessment(given.churn_probability, source, "", now, "", as_of)
    ceilings = {name: CeilingReading(used, used, None) for name, used in given.tenant_used.items()}
    ceilings["escalation_share"] = CeilingReading(int(given.escalation_share_full), 1, None)
    bucket = ALWAYS_HELD_OUT if given.held_out else NEVER_HELD_OUT
    profile = replace(LeadProfile(), **given.lead.model_dump())
    return Situation("case", "case", now, Cause.REQUEST, profile, _state(given, now), assessment, bucket, ceilings)


def _state(given: Given, now: int) -> LeadState:
    history = sorted(
        Contact(now - past.ago, Channel[past.channel.upper()], playbook_code(past.playbook), 0)
        for past in given.history
    )
    consent = {
        int(Channel[channel.upper()]): Consent(ConsentState[said.upper()], "test", now - 1)
        for channel, said in given.consent.items()
    }
    return LeadState(
        stage=Stage[given.stage.upper()],
        below_stage_since=None if given.below_for is None else now - given.below_for,
        contacts=tuple(history),
        consent=consent,
        last_escalated_at=None if given.escalated_ago is None else now - given.escalated_ago,
    )


def _result(case: Case, decision: Decision) -> CaseResult:
    want, found = case.want, []
    if want.verdict is not None and decision.verdict is not Verdict[want.verdict.upper()]:
        found.append(f"verdict: wanted {want.verdict}, got {decision.verdict.name.lower()}")
    if want.stage is not None and decision.stage is not Stage[want.stage.upper()]:
        found.append(f"stage: wanted {want.stage}, got {decision.stage.name.lower()}")
    granted = tuple(f"{action.channel.name.lower()}/{action.playbook}" for action in decision.interventions)
    if want.interventions is not None and want.interventions != granted:
        found.append(f"interventions: wanted {list(want.interventions)}, got {list(granted)}")
    target = decision.escalation.target if decision.escalation else "none"
    if want.escalation is not None and want.escalation != target:
        found.append(f"escalation: wanted {want.escalation}, got {target}")
    for wanted in want.suppressions:
        if not any(_is(wanted, suppression) for suppression in decision.suppressions):
            reasons = [
                f"{s.channel.name.lower() if s.channel else 'escalation'} {s.reason.name}"
                for s in decision.suppressions
            ]
            found.append(f"suppressions: wanted {wanted.model_dump(exclude_none=True)}, got {reasons}")
    return CaseResult(case.name, not found, found)


def _is(wanted: WantedSuppression, found: Suppression) -> bool:
    channel = found.channel.name.lower() if found.channel else None
    return (
        found.reason.name == wanted.reason.upper()
        and wanted.channel == channel
        and wanted.limit in (None, found.limit_name)
        and (wanted.free_at is None or found.next_eligible_at == _instant(wanted.free_at))
    )
