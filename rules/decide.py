"""decide(): a situation in, a decision and the lead's next state out. Pure: the same situation gives the same ruling, byte for byte.

The engine says which rules hold; everything that follows from it is plain Python in the modules beside this one. When the engine fails, or a
sample of its answers disagrees with the plain interpreter, nothing is granted.
"""

from collections.abc import Mapping, Sequence
from zlib import crc32

from msgspec.structs import replace

from rules.answer import Answer, answer_of
from rules.arbitration import NOTHING, arbitrate, failed
from rules.cells import Answers
from rules.compiled import CompiledPolicy, FactValue
from rules.decision import HOLDOUT, TREATMENT, Arbitration, CeilingClaim, Decision, Ruling, Situation
from rules.engine import EngineFaultError, RuleEngine
from rules.escalating import after_decision
from rules.escalation import NOT_ASKED, EscalationOutcome, escalate
from rules.lead import Contact, LeadState, playbook_code
from rules.moment import Moment, moment_of
from rules.reference import true_rules
from rules.remembered import Remembered
from rules.retained import HISTORY_RETENTION_MS
from rules.sheet import FactSheet
from rules.stage import StageFinding, find_stage, stage_since
from rules.vocabulary import NO_STAGE, Stage

SAMPLE_EVERY = 256
KEPT_MOMENTS = 256
ESCALATION_SHARE = "escalation_share"


class RuleDisagreementError(Exception):
    """The engine and the interpreter differ about a rule."""


class Decider:
    """Decides by one policy. Belongs to one thread; `close` it."""

    def __init__(self, policy: CompiledPolicy, sample_every: int = SAMPLE_EVERY) -> None:
        self.policy = policy
        self.faults = 0
        self.disagreements = 0
        self._engine = RuleEngine(policy)
        self._sheet = FactSheet(policy)
        self._answers = Answers()
        self._moments = Remembered(self._moment, KEPT_MOMENTS)
        self._sample_every = sample_every
        self._evaluations = 0
        review = policy.document.review
        self._review_ms: Mapping[Stage, int] = {stage: getattr(review, stage.name.lower()) for stage in Stage}
        self._holdout_percent = policy.document.holdout.percent

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def decide(self, situation: Situation) -> Ruling:
        """Return what follows from a situation."""
        now = max(situation.now, situation.state.last_decided_at)  # per lead, time never runs backwards
        profile = situation.profile
        moment = self._moments[profile.time_zone, profile.country, now]
        try:
            answer = self._evaluate(situation, moment)
        except (EngineFaultError, RuleDisagreementError):
            return self._failed_closed(situation, now, self._sheet.values(situation, moment))
        return self._rule(situation, moment, answer)

    def _evaluate(self, situation: Situation, moment: Moment) -> Answer:
        """Return what the engine said for these cells before, or what it says now."""
        self._evaluations += 1
        cells = self._sheet.cells(situation, moment)
        known = self._answers.get(cells)
        sampled = self._evaluations % self._sample_every == 0
        if known is not None and not sampled:
            return known
        values = self._sheet.values(situation, moment)
        try:
            fired = self._engine.fired(self._sheet.message(values))
        except EngineFaultError:
            self.faults += 1
            raise
        if sampled and (fired != self._reference(values) or (known is not None and known.fired != frozenset(fired))):
            self.disagreements += 1
            self._answers = Answers()  # any other may be as wrong as this one
            raise RuleDisagreementError
        if known is None:
            known = answer_of(self.policy, fired)
            self._answers.keep(cells, known)
        return known

    def _reference(self, values: Sequence[FactValue]) -> tuple[int, ...]:
        return true_rules(self.policy.rules, dict(zip(self._sheet.names, values, strict=True)))

    def _moment(self, seen: tuple[str, str, int]) -> Moment:
        return moment_of(self.policy, *seen)

    def _rule(self, situation: Situation, moment: Moment, answer: Answer) -> Ruling:
        held_out = situation.holdout_bucket < self._holdout_percent
        finding = find_stage(situation.state, answer, moment.now)
        arbitration, raised = NOTHING, NOT_ASKED
        if finding.stage is not NO_STAGE:
            arbitration = arbitrate(self.policy, situation, moment, answer, finding, held_out=held_out)
            raised = escalate(self.policy, situation, moment.now, finding.stage, answer.fired, held_out=held_out)
        return self._ruling(situation, moment.now, finding, arbitration, raised, answer.hits, held_out)

    def _failed_closed(self, situation: Situation, now: int, values: Sequence[FactValue]) -> Ruling:
        """Return a ruling that grants nothing; the stage comes from the plain interpreter, which needs no engine."""
        answer = answer_of(self.policy, self._reference(values))
        finding = find_stage(situation.state, answer, now)
        held_out = situation.holdout_bucket < self._holdout_percent
        return self._ruling(situation, now, finding, failed(self.policy, finding.stage), NOT_ASKED, (), held_out)

    def _ruling(
        self,
        situation: Situation,
        now: int,
        finding: StageFinding,
        arbitration: Arbitration,
        raised: EscalationOutcome,
        hits: tuple[int, ...],
        held_out: bool,
    ) -> Ruling:
        review_at, deferred_to = now + self._review_ms[finding.stage], arbitration.deferred_to
        if deferred_to is not None:
            review_at = min(review_at, deferred_to)
        decision = Decision(
            situation.decision_id,
            situation.lead_id,
            arbitration.verdict,
            finding.stage,
            situation.assessment,
            arbitration.interventions,
            arbitration.suppressions + raised.suppressions,
            raised.escalation,
            situation.cause,
            HOLDOUT if held_out else TREATMENT,
            self.policy.name,
            self.policy.version,
            hits,
            now,
            review_at,
        )
        state = _next_state(self.policy, situation.state, decision, finding, deferred_to)
        return Ruling(decision, state, arbitration.closes_at, _claims(arbitration, raised))


def _claims(arbitration: Arbitration, raised: EscalationOutcome) -> tuple[CeilingClaim, ...]:
    """Return what is taken of tenant-wide ceilings; most decisions take nothing."""
    if not arbitration.claims and raised.escalation is None:
        return ()
    claims = [CeilingClaim(name, amount) for name, amount in arbitration.claims.items()]
    if raised.escalation is not None:
        claims.append(CeilingClaim(ESCALATION_SHARE, 1))
    return tuple(claims)


def _next_state(
    policy: CompiledPolicy, state: LeadState, decision: Decision, finding: StageFinding, deferred_to: int | None
) -> LeadState:
    now, raised, case = decision.decided_at, decision.escalation, state.escalation
    if raised is not None or case is not None:
        case = after_decision(policy, case, decision)
    return replace(
        state,
        stage=finding.stage,
        stage_since=stage_since(state, finding, now),
        below_stage_since=finding.below_since,
        contacts=_contacts(state.contacts, decision),
        last_decided_at=now,
        last_escalated_at=state.last_escalated_at if raised is None else now,
        escalation=case,
        next_review_at=decision.next_review_at,
        verdict=decision.verdict,
        deferred_to=deferred_to,
    )


def _contacts(before: tuple[Contact, ...], decision: Decision) -> tuple[Contact, ...]:
    """Return the contacts that limits may still count, with those that the decision grants."""
    now = decision.decided_at
    if before and before[0].at <= now - HISTORY_RETENTION_MS:  # the oldest
        before = tuple([contact for contact in before if contact.at > now - HISTORY_RETENTION_MS])
    if not decision.interventions:
        return before
    granted = [
        Contact(now, action.channel, playbook_code(action.playbook), crc32(action.intervention_id.encode()))
        for action in decision.interventions
    ]
    return (*before, *granted)
