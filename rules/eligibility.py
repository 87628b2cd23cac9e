"""When a blocked intervention becomes possible: the first instant at which nothing that passes with time speaks against it."""

from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from rules.compiled import Candidate, HoursRule, LimitRule
from rules.decision import Situation
from rules.hours import is_blocked, next_change
from rules.sheet import applies, instants_of, lead_window
from rules.windows import released_at

MAX_STEPS = 200
# Returns the first instant from the given one on that it leaves free; None if there never is one.
Obstacle = Callable[[int], int | None]


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
    if not granted:
        return 0
    return sum(1 for g in granted if limit.channel in (0, g.channel) and limit.playbook in (0, g.playbook))


def eligible_at(candidate: Candidate, horizon: Horizon) -> int | None:
    """Return the first instant from now on that is free of every limit and of all hours; None if there never is one.

    One obstacle's end may lie inside another, so all are asked again until none moves the instant.
    """
    obstacles = [each for limit in candidate.limits if (each := _full(limit, horizon)) is not None]
    obstacles += [partial(_opened, each, horizon) for each in candidate.hours if applies(each, horizon.situation)]
    instant = horizon.now
    for _ in range(MAX_STEPS):
        later = instant
        for free_from in obstacles:
            free = free_from(later)
            if free is None:
                return None
            later = free
        if later == instant or len(obstacles) == 1:
            return later
        instant = later
    return None


def released(limit: LimitRule, horizon: Horizon, at: int) -> int | None:
    """Return the first instant from `at` on at which one more contact fits under a limit; None if there never is one."""
    obstacle = _full(limit, horizon)
    return at if obstacle is None else obstacle(at)


def _full(limit: LimitRule, horizon: Horizon) -> Obstacle | None:
    """Return a limit as an obstacle; None when one more contact fits at any time."""
    added = counted(limit, horizon.granted)
    if limit.tenant:
        return partial(_tenant_released, limit, horizon, added)
    instants = instants_of(limit, horizon.situation)
    if len(instants) + added < limit.maximum:
        return None
    instants += [horizon.now] * added
    return partial(released_at, lead_window(limit, horizon.situation), instants, limit.maximum)


def _tenant_released(limit: LimitRule, horizon: Horizon, added: int, at: int) -> int | None:
    reading = horizon.situation.ceilings.get(limit.name)
    if limit.maximum == 0:
        return None
    if reading is None or reading.used + added < reading.maximum:
        return at
    return None if reading.releases_at is None else max(at, reading.releases_at)


def _opened(hours: HoursRule, horizon: Horizon, at: int) -> int | None:
    return next_change(hours.hours, horizon.zones, at) if is_blocked(hours.hours, horizon.zones, at) else at


def closes_at(candidate: Candidate, horizon: Horizon) -> int | None:
    """Return when hours begin in which an open candidate is blocked; None when none do within a week."""
    ends = (
        next_change(hours.hours, horizon.zones, horizon.now)
        for hours in candidate.hours
        if applies(hours, horizon.situation)
    )
    return min((end for end in ends if end is not None), default=None)
