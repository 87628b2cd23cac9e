"""decide(): a situation in, a decision and the lead's next state out. Pure: the same situation gives the same ruling, byte for byte.

The engine says which rules hold; everything that follows from it is plain Python in the modules beside this one. When the engine fails, or a
sample of its answers disagrees with the plain interpreter, nothing is granted.
"""

from collections.abc import Sequence
from zlib import crc32

from rules.arbitration import Arbiter, Arbitration
from rules.cells import Answers
from rules.compiled import CompiledPolicy, FactValue
from rules.decision import CeilingClaim, Decision, Ruling, Situation
from rules.engine import EngineFaultError, RuleEngine
from rules.escalation import EscalationOutcome, escalate
from rules.facts import View
from rules.lead import Contact, LeadState, OpenEscalation, playbook_code
from rules.reference import true_rules
from rules.retained import HISTORY_RETENTION_MS
from rules.rulebook import UNTRACED
from rules.sheet import FactSheet, zones_of
from rules.stage import StageFinding, after_stage, find_stage
from rules.vocabulary import ReasonCode, Stage, Verdict

SAMPLE_EVERY = 256
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
        self._sample_every = sample_every
        self._evaluations = 0

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def decide(self, situation: Situation) -> Ruling:
        """Return what follows from a situation."""
        now = max(situation.now, situation.state.last_decided_at)  # per lead, time never runs backwards
        zones = zones_of(self.policy, situation)
        view = View(situation, now, zones)
        try:
            fired = frozenset(self._evaluate(view))
        except (EngineFaultError, RuleDisagreementError):
            return self._failed_closed(situation, now, zones, self._sheet.values(view))
        return self._rule(situation, now, zones, fired)

    def _evaluate(self, view: View) -> tuple[int, ...]:
        """Return the rules that are true: what the engine said for these cells before, or what it says now."""
        self._evaluations += 1
        cells = self._sheet.cells(view)
        answer = self._answers.get(cells)
        sampled = self._evaluations % self._sample_every == 0
        if answer is not None and not sampled:
            return answer
        values = self._sheet.values(view)
        try:
            fired = self._engine.fired(self._sheet.message(values))
        except EngineFaultError:
            self.faults += 1
            raise
        if sampled and (fired != self._reference(values) or answer not in (None, fired)):
            self.disagreements += 1
            raise RuleDisagreementError
        self._answers.keep(cells, fired)
        return fired

    def _reference(self, values: Sequence[FactValue]) -> tuple[int, ...]:
        return true_rules(self.policy.rules, dict(zip(self._sheet.names, values, strict=True)))

    def _rule(self, situation: Situation, now: int, zones: tuple[str, ...], fired: frozenset[int]) -> Ruling:
        held_out = situation.holdout_bucket < self.policy.document.holdout.percent
        finding = find_stage(self.policy, situation.state, fired, now)
        arbiter = Arbiter(self.policy, situation, now, zones, fired, held_out=held_out)
        if finding.held and finding.raw > Stage.NONE and finding.below_since is not None:
            until = finding.below_since + self.policy.document.hysteresis.de_escalate_after
            arbiter.suppress_lower(finding.raw, ReasonCode.STAGE_HYSTERESIS, "hysteresis", until)
        arbitration = arbiter.run(finding.stage) if finding.stage > Stage.NONE else _NOTHING
        raised = escalate(self.policy, situation, now, finding.stage, fired, held_out=held_out)
        verdict = _verdict(finding.stage, arbitration, held_out=held_out)
        return self._ruling(situation, now, finding, verdict, arbitration, raised, fired, held_out=held_out)

    def _failed_closed(
        self, situation: Situation, now: int, zones: tuple[str, ...], values: Sequence[FactValue]
    ) -> Ruling:
        """Return a ruling that grants nothing; the stage comes from the plain interpreter, which needs no engine."""
        fired = frozenset(self._reference(values))
        finding = find_stage(self.policy, situation.state, fired, now)
        arbiter = Arbiter(self.policy, situation, now, zones, fired, held_out=True)
        arbiter.suppress_all(finding.stage, ReasonCode.RULE_ERROR, "engine")
        arbitration = arbiter.result()
        held_out = situation.holdout_bucket < self.policy.document.holdout.percent
        return self._ruling(
            situation,
            now,
            finding,
            Verdict.SUPPRESS,
            arbitration,
            EscalationOutcome(),
            frozenset(),
            held_out=held_out,
        )

    def _ruling(
        self,
        situation: Situation,
        now: int,
        finding: StageFinding,
        verdict: Verdict,
        arbitration: Arbitration,
        raised: EscalationOutcome,
        fired: frozenset[int],
        *,
        held_out: bool,
    ) -> Ruling:
        review_at = now + getattr(self.policy.document.review, finding.stage.name.lower())
        if verdict is Verdict.DEFER and arbitration.deferred_to is not None:
            review_at = min(review_at, arbitration.deferred_to)
        decision = Decision(
            situation.decision_id,
            situation.lead_id,
            verdict,
            finding.stage,
            situation.assessment,
            tuple(arbitration.interventions),
            (*arbitration.suppressions, *raised.suppressions),
            raised.escalation,
            situation.cause,
            "holdout" if held_out else "treatment",
            self.policy.name,
            self.policy.version,
            tuple(sorted({self.policy.rules[rule].trace for rule in fired} - {UNTRACED})),
            now,
            review_at,
        )
        claims = [CeilingClaim(name, amount) for name, amount in arbitration.claims.items()]
        if raised.escalation is not None:
            claims.append(CeilingClaim(ESCALATION_SHARE, 1))
        state = _next_state(situation.state, decision, finding)
        return Ruling(decision, state, arbitration.closes_at, tuple(claims))


_NOTHING = Arbitration([], [], [], {}, None, None)


def _verdict(stage: Stage, arbitration: Arbitration, *, held_out: bool) -> Verdict:
    if stage is Stage.NONE:
        return Verdict.NO_ACTION
    if held_out:
        return Verdict.HELD_OUT
    if arbitration.interventions:
        return Verdict.CONTACT
    return Verdict.SUPPRESS if arbitration.deferred_to is None else Verdict.DEFER


def _next_state(state: LeadState, decision: Decision, finding: StageFinding) -> LeadState:
    now = decision.decided_at
    contacts = tuple(contact for contact in state.contacts if contact.at > now - HISTORY_RETENTION_MS)
    granted = tuple(
        Contact(now, action.channel, playbook_code(action.playbook), crc32(action.intervention_id.encode()))
        for action in decision.interventions
    )
    after = after_stage(state, finding, now)._replace(
        contacts=contacts + granted, last_decided_at=now, next_review_at=decision.next_review_at
    )
    raised = decision.escalation
    if raised is None:
        return after
    opened = OpenEscalation(raised.escalation_id, raised.level, raised.target, now, raised.due_at)
    return after._replace(last_escalated_at=now, escalation=opened)
