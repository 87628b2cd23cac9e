"""What passes with time: how far limits are used up and when one more contact fits, and when hours leave a channel open."""

from rules.compiled import Candidate, LimitRule
from rules.counts import instants_of
from rules.decision import Situation
from rules.hours import next_change
from rules.moment import Moment
from rules.windows import Use, use_in

MAX_STEPS = 200


def use_of(limit: LimitRule, added: int, situation: Situation, moment: Moment) -> Use:
    """Return how far a limit is used up once it counts so many contacts of this decision, too."""
    if limit.tenant:
        return _of_tenant(limit, added, situation, moment.now)
    stretch = moment.stretch(limit)
    counted = instants_of(limit, situation.state.contacts, stretch.start)
    return use_in(stretch, counted + [moment.now] * added if added else counted, limit.maximum, moment.now)


def _of_tenant(limit: LimitRule, added: int, situation: Situation, now: int) -> Use:
    reading = situation.ceilings.get(limit.name)
    used = added if reading is None else reading.used + added
    if limit.maximum == 0:
        return Use(used, None)
    if reading is None or used < reading.maximum:
        return Use(used, now)
    return Use(used, None if reading.releases_at is None else max(now, reading.releases_at))


def open_from(candidate: Candidate, since: int, moment: Moment) -> int | None:
    """Return the first instant from `since` on at which no hours block a candidate; None if there never is one.

    Hours come again, and one's end may lie inside another, so all are asked again until none moves the instant.
    """
    instant = since
    for _ in range(MAX_STEPS):
        before = instant
        for hours in candidate.hours:
            opening = moment.opening(hours, instant)
            if opening is None:
                return None
            instant = opening
        if instant == before:
            return instant
    return None


def closes_at(candidate: Candidate, moment: Moment) -> int | None:
    """Return when hours begin in which an open candidate is blocked; None when none do within a week."""
    ends = (next_change(hours.hours, moment.zones, moment.now) for hours in candidate.hours if moment.applies(hours))
    return min((end for end in ends if end is not None), default=None)
