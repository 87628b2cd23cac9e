"""When a blocked intervention becomes possible: the first instant at which nothing that passes with time speaks against it."""

from collections.abc import Sequence

from msgspec import Struct

from rules.compiled import Candidate, HoursRule, LimitRule
from rules.decision import Situation
from rules.hours import is_blocked, next_change
from rules.sheet import applies, instants_of, lead_window
from rules.windows import released_at

MAX_STEPS = 200


class Granted(Struct, frozen=True):
    """A contact that this decision has granted already: limits count it for what follows."""

    channel: int
    playbook: int


class Horizon(Struct, frozen=True):
    """What the search for a time needs to know of the lead."""

    situation: Situation
    now: int
    zones: tuple[str, ...]
    granted: Sequence[Granted]


def counted(limit: LimitRule, granted: Sequence[Granted]) -> int:
    """Return how many contacts of this decision a limit counts."""
    return sum(1 for g in granted if limit.channel in (0, g.channel) and limit.playbook in (0, g.playbook))


def eligible_at(candidate: Candidate, horizon: Horizon) -> int | None:
    """Return the first instant from now on that is free of every limit and of all hours; None if there never is one.

    One obstacle's end may lie inside another, so all are asked again until none moves the instant.
    """
    instant = horizon.now
    for _ in range(MAX_STEPS):
        later = instant
        for limit in candidate.limits:
            free = released(limit, horizon, later)
            if free is None:
                return None
            later = max(later, free)
        for hours in candidate.hours:
            opened = _opened(hours, horizon, later)
            if opened is None:
                return None
            later = max(later, opened)
        if later == instant:
            return instant
        instant = later
    return None


def released(limit: LimitRule, horizon: Horizon, at: int) -> int | None:
    """Return the first instant from `at` on at which one more contact fits under a limit; None if there never is one."""
    added = counted(limit, horizon.granted)
    if limit.tenant:
        return _tenant_released(limit, horizon, at, added)
    instants = [*instants_of(limit, horizon.situation), *[horizon.now] * added]
    return released_at(lead_window(limit, horizon.situation), instants, limit.maximum, at)


def _tenant_released(limit: LimitRule, horizon: Horizon, at: int, added: int) -> int | None:
    reading = horizon.situation.ceilings.get(limit.name)
    if limit.maximum == 0:
        return None
    if reading is None or reading.used + added < reading.maximum:
        return at
    return None if reading.releases_at is None else max(at, reading.releases_at)


def _opened(hours: HoursRule, horizon: Horizon, at: int) -> int | None:
    if not applies(hours, horizon.situation) or not is_blocked(hours.hours, horizon.zones, at):
        return at
    return next_change(hours.hours, horizon.zones, at)


def closes_at(candidate: Candidate, horizon: Horizon) -> int | None:
    """Return when hours begin in which an open candidate is blocked; None when none do within a week."""
    ends = (
        next_change(hours.hours, horizon.zones, horizon.now)
        for hours in candidate.hours
        if applies(hours, horizon.situation)
    )
    return min((end for end in ends if end is not None), default=None)
