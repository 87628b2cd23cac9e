"""Which candidates are granted: in their order, each unless something speaks against it, up to the stage's number.

Limits count what the same decision has granted before: the engine has already said, for each limit, whether it is full with none, one or two
contacts more.
"""

from collections.abc import Sequence

from msgspec import Struct

from rules.compiled import Candidate, CompiledPolicy, Denial, LimitRule
from rules.decision import InterventionAction, Situation, Suppression
from rules.eligibility import Granted, Horizon, closes_at, counted, eligible_at
from rules.sheet import used
from rules.vocabulary import ReasonCode, Stage

DELIVERY_MS = 3_600_000  # how long a granted contact may wait to be carried out


class Arbitration(Struct, frozen=True):
    """What became of the candidates."""

    interventions: list[InterventionAction]
    suppressions: list[Suppression]
    granted: list[Granted]
    claims: dict[str, int]
    closes_at: int | None  # the first instant at which a granted one would be blocked
    deferred_to: int | None  # the first instant at which a deferrable one is free


NOTHING = Arbitration([], [], [], {}, None, None)


class Arbiter:
    """Walks the candidates of one situation."""

    def __init__(
        self,
        policy: CompiledPolicy,
        situation: Situation,
        now: int,
        zones: tuple[str, ...],
        fired: frozenset[int],
        *,
        held_out: bool,
    ) -> None:
        self._policy = policy
        self._situation = situation
        self._now = now
        self._fired = fired
        self._held_out = held_out
        self._granted: list[Granted] = []
        self._horizon = Horizon(situation, now, zones, self._granted)
        self._interventions: list[InterventionAction] = []
        self._suppressions: list[Suppression] = []
        self._claims: dict[str, int] = {}
        self._closings: list[int] = []
        self._deferrals: list[int] = []

    def run(self, stage: Stage) -> Arbitration:
        """Return what became of every candidate of a stage."""
        most = getattr(self._policy.document.max_interventions, stage.name.lower())
        seen: set[tuple[int, int]] = set()
        for candidate in self._policy.candidates:
            mine = candidate.stage in (None, stage) and not self._fired.isdisjoint(candidate.rules)
            key = (candidate.channel, candidate.playbook_code)
            if mine and key not in seen:
                seen.add(key)
                self._consider(candidate, most)
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

    def _consider(self, candidate: Candidate, most: int) -> None:
        denials = [denial for denial in candidate.denials if denial.rule in self._fired]
        full = [(limit, added) for limit in candidate.limits if (added := self._added(limit)) is not None]
        if denials or full:
            self._withhold(candidate, denials, full)
        elif len(self._granted) >= most:
            self._suppress(candidate, ReasonCode.LOWER_PRIORITY, "max_interventions")
        else:
            self._grant(candidate)

    def _added(self, limit: LimitRule) -> int | None:
        """Return how many contacts of this decision fill up a limit; None when it is not full."""
        added = counted(limit, self._granted) if self._granted else 0
        return added if limit.variants[min(added, len(limit.variants) - 1)] in self._fired else None

    def _withhold(self, candidate: Candidate, denials: Sequence[Denial], full: Sequence[tuple[LimitRule, int]]) -> None:
        """Note everything that speaks against a candidate, and from when on nothing does, if that passes with time."""
        forever = any(denial.hours is None for denial in denials)
        eligible = None if forever else eligible_at(candidate, self._horizon)
        channel, playbook = candidate.channel, candidate.playbook
        for denial in denials:
            self._suppressions.append(
                Suppression(channel, playbook, denial.reason, denial.name, next_eligible_at=eligible)
            )
        for limit, added in full:
            observed = float(used(limit, self._situation, self._now) + added)
            rule, maximum = f"limit.{limit.name}", float(limit.maximum)
            self._suppressions.append(
                Suppression(channel, playbook, limit.reason, rule, limit.name, observed, maximum, eligible)
            )
        defers = all(denial.defers for denial in denials) and all(limit.defers for limit, _ in full)
        if defers and eligible is not None:
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
