"""Which candidates are granted: in their order, each unless something speaks against it, up to the stage's number.

Limits count what the same decision has granted before: the engine has already said, for each limit, whether it is full with none, one or two
contacts more.
"""

from collections.abc import Sequence

from rules.answer import Answer, Proposal, is_full
from rules.compiled import Candidate, CompiledPolicy, LimitRule
from rules.decision import Arbitration, Granted, InterventionAction, Situation, Suppression
from rules.eligibility import Horizon, closes_at, eligible_at
from rules.vocabulary import ReasonCode, Stage

DELIVERY_MS = 3_600_000  # how long a granted contact may wait to be carried out


NOTHING = Arbitration([], [], [], {}, None, None)


class Arbiter:
    """Walks the candidates of one situation."""

    def __init__(
        self,
        policy: CompiledPolicy,
        situation: Situation,
        now: int,
        zones: tuple[str, ...],
        answer: Answer,
        *,
        held_out: bool,
    ) -> None:
        self._policy = policy
        self._situation = situation
        self._now = now
        self._answer = answer
        self._held_out = held_out
        self._granted: list[Granted] = []
        self._horizon = Horizon(situation, now, zones, self._granted)
        self._interventions: list[InterventionAction] = []
        self._suppressions: list[Suppression] = []
        self._claims: dict[str, int] = {}
        self._closings: list[int] = []
        self._deferrals: list[int] = []

    def run(self) -> Arbitration:
        """Return what became of every candidate of the answer's stage."""
        most = getattr(self._policy.document.max_interventions, self._answer.stage.name.lower())
        for proposal in self._answer.proposals:
            full = proposal.full if not self._granted else self._full(proposal.candidate)
            if proposal.denials or full:
                self._withhold(proposal, full)
            elif len(self._granted) >= most:
                self._suppress(proposal.candidate, ReasonCode.LOWER_PRIORITY, "max_interventions")
            else:
                self._grant(proposal.candidate)
        return self.result()

    def result(self) -> Arbitration:
        """Return what became of the candidates so far."""
        return Arbitration(
            self._interventions,
            self._suppressions,
            self._granted,
            self._claims,
            min(self._closings, default=None),
            min(self._deferrals, default=None),
        )

    def suppress_lower(self, stage: Stage, reason: ReasonCode, rule: str, until: int | None) -> None:
        """Note the candidates of a stage that hysteresis keeps the lead from."""
        for candidate in self._policy.candidates:
            if candidate.stage is stage:
                self._suppressions.append(
                    Suppression(candidate.channel, candidate.playbook, reason, rule, next_eligible_at=until)
                )

    def suppress_all(self, stage: Stage, reason: ReasonCode, rule: str) -> None:
        """Withhold every candidate of a stage for one reason that does not pass with time."""
        for candidate in self._policy.candidates:
            if candidate.stage in (None, stage):
                self._suppressions.append(Suppression(candidate.channel, candidate.playbook, reason, rule))

    def _full(self, candidate: Candidate) -> Sequence[LimitRule]:
        """Return the limits that are full with the contacts of this decision."""
        fired, added = self._answer.fired, self._horizon.added
        return [limit for limit in candidate.limits if is_full(limit, added(limit), fired)]

    def _withhold(self, proposal: Proposal, full: Sequence[LimitRule]) -> None:
        """Note everything that speaks against a candidate, and from when on nothing does, if that passes with time."""
        candidate, suppressions = proposal.candidate, self._suppressions
        channel, playbook = candidate.channel, candidate.playbook
        eligible = eligible_at(candidate, full, self._horizon) if proposal.ends else None
        for denial in proposal.denials:
            suppressions.append(Suppression(channel, playbook, denial.reason, denial.name, "", None, None, eligible))
        for limit in full:
            name, observed, maximum = limit.name, float(self._horizon.use(limit).used), float(limit.maximum)
            suppressions.append(
                Suppression(channel, playbook, limit.reason, f"limit.{name}", name, observed, maximum, eligible)
            )
        if eligible is not None and proposal.defers and all(limit.defers for limit in full):
            self._deferrals.append(eligible)

    def _suppress(self, candidate: Candidate, reason: ReasonCode, rule: str) -> None:
        self._suppressions.append(Suppression(candidate.channel, candidate.playbook, reason, rule))

    def _grant(self, candidate: Candidate) -> None:
        self._granted.append(Granted(candidate.channel, candidate.playbook_code))
        if self._held_out:
            self._suppress(candidate, ReasonCode.HELD_OUT, "holdout")
            return
        for limit in candidate.limits:
            if limit.tenant:
                self._claims[limit.name] = self._claims.get(limit.name, 0) + 1
        closing = closes_at(candidate, self._horizon)
        if closing is not None:
            self._closings.append(closing)
        self._interventions.append(self._action(candidate, closing))

    def _action(self, candidate: Candidate, closing: int | None) -> InterventionAction:
        situation, now = self._situation, self._now
        place = len(self._interventions) + 1
        value = situation.profile.value
        at_risk = None if value is None else situation.assessment.churn_probability * value - candidate.cost
        expires_at = now + DELIVERY_MS if closing is None else min(now + DELIVERY_MS, closing)
        return InterventionAction(
            f"{situation.decision_id}.{place}",
            candidate.channel,
            candidate.playbook,
            place,
            now,
            expires_at,
            candidate.cost,
            at_risk,
            situation.profile.currency,
            candidate.name,
        )
