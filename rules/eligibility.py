"""When a blocked intervention becomes possible: the first instant at which nothing that passes with time speaks against it."""

from collections.abc import Sequence

from rules.compiled import Candidate, HoursRule, LimitRule
from rules.decision import Granted, Situation
from rules.hours import is_blocked, next_change
from rules.sheet import applies, instants_of, lead_window
from rules.windows import Use, use_of

MAX_STEPS = 200


class Horizon:
    """One lead at one instant, as the search for a time sees it. Candidates share most limits and hours, so what each comes to is kept."""

    def __init__(self, situation: Situation, now: int, zones: tuple[str, ...], granted: Sequence[Granted]) -> None:
        self.situation = situation
        self.now = now
        self.zones = zones
        self._granted = granted
        self._uses: dict[tuple[str, int], Use] = {}
        self._openings: dict[tuple[str, int], int | None] = {}

    def added(self, limit: LimitRule) -> int:
        """Return how many contacts of this decision a limit counts."""
        if not self._granted:
            return 0
        return sum(1 for g in self._granted if limit.channel in (0, g.channel) and limit.playbook in (0, g.playbook))

    def use(self, limit: LimitRule) -> Use:
        """Return how far a limit is used up, by the contacts of this decision, too."""
        added = self.added(limit)
        key = limit.fact, added
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = self._of_tenant(limit, added) if limit.tenant else self._of_lead(limit, added)
        return use

    def opening(self, hours: HoursRule, at: int) -> int | None:
        """Return the first instant from `at` on that hours leave free; None if there is none within eight days."""
        key = hours.fact, at
        if key not in self._openings:
            self._openings[key] = self._opening(hours, at)
        return self._openings[key]

    def _opening(self, hours: HoursRule, at: int) -> int | None:
        if not applies(hours, self.situation) or not is_blocked(hours.hours, self.zones, at):
            return at
        return next_change(hours.hours, self.zones, at)

    def _of_lead(self, limit: LimitRule, added: int) -> Use:
        instants = instants_of(limit, self.situation) + [self.now] * added
        return use_of(lead_window(limit, self.situation), instants, limit.maximum, self.now)

    def _of_tenant(self, limit: LimitRule, added: int) -> Use:
        reading = self.situation.ceilings.get(limit.name)
        used = added if reading is None else reading.used + added
        if limit.maximum == 0:
            return Use(used, None)
        if reading is None or used < reading.maximum:
            return Use(used, self.now)
        return Use(used, None if reading.releases_at is None else max(self.now, reading.releases_at))


def eligible_at(candidate: Candidate, full: Sequence[LimitRule], horizon: Horizon) -> int | None:
    """Return the first instant from now on that is free of every limit and of all hours; None if there never is one.

    Only limits that are full now matter: contacts grow older, so one that has room keeps it. Hours come again, and one's end may lie inside
    another, so all are asked again until none moves the instant.
    """
    instant = horizon.now
    for limit in full:
        free_from = horizon.use(limit).free_from
        if free_from is None:
            return None
        instant = max(instant, free_from)
    for _ in range(MAX_STEPS):
        before = instant
        for hours in candidate.hours:
            opening = horizon.opening(hours, instant)
            if opening is None:
                return None
            instant = opening
        if instant == before:
            return instant
    return None


def closes_at(candidate: Candidate, horizon: Horizon) -> int | None:
    """Return when hours begin in which an open candidate is blocked; None when none do within a week."""
    ends = (
        next_change(hours.hours, horizon.zones, horizon.now)
        for hours in candidate.hours
        if applies(hours, horizon.situation)
    )
    return min((end for end in ends if end is not None), default=None)
