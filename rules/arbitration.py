"""Which candidates are granted: in their order, each unless something speaks against it, up to the stage's number.

Limits count what the same decision has granted before: the engine has already said, for each limit, whether it is full with none, one or two
contacts more.
"""

from typing import NamedTuple

from rules.compiled import Candidate, CompiledPolicy
from rules.decision import InterventionAction, Situation, Suppression
from rules.eligibility import Granted, Horizon, closes_at, counted, eligible_at
from rules.sheet import used
from rules.vocabulary import ReasonCode, Stage

DELIVERY_MS = 3_600_000  # how long a granted contact may wait to be carried out


class Arbitration(NamedTuple):
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
        reasons, defers, forever = self._reasons(candidate)
        if reasons:
            eligible = None if forever else eligible_at(candidate, self._horizon)
            self._suppressions += [reason._replace(next_eligible_at=eligible) for reason in reasons]
            if defers and eligible is not None:
                self._deferrals.append(eligible)
        elif len(self._granted) >= most:
            self._suppress(candidate, ReasonCode.LOWER_PRIORITY, "max_interventions")
        else:
            self._grant(candidate)

    def _suppress(self, candidate: Candidate, reason: ReasonCode, rule: str) -> None:
        self._suppressions.append(Suppression(candidate.channel, candidate.playbook, reason, rule))

    def _reasons(self, candidate: Candidate) -> tuple[list[Suppression], bool, bool]:
        """Return everything that speaks against a candidate, whether all of it may be waited for, and whether some never passes."""
        found, defers, forever = [], True, False
        for denial in candidate.denials:
            if denial.rule in self._fired:
                found.append(Suppression(candidate.channel, candidate.playbook, denial.reason, denial.name))
                defers &= denial.defers
                forever |= denial.hours is None
        for limit in candidate.limits:
            added = counted(limit, self._granted)
            if limit.variants[min(added, len(limit.variants) - 1)] in self._fired:
                observed = used(limit, self._situation, self._now) + added
                found.append(
                    Suppression(
                        candidate.channel,
                        candidate.playbook,
                        limit.reason,
                        f"limit.{limit.name}",
                        limit.name,
                        float(observed),
                        float(limit.maximum),
                    )
                )
                defers &= limit.defers
        return found, defers, forever

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
