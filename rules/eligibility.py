"""What passes with time: how far limits are used up and when one more contact fits, and when hours leave a channel open."""

from rules.compiled import Candidate, LimitRule
from rules.decision import Situation
from rules.hours import next_change
from rules.moment import Moment
from rules.windows import Use

MAX_STEPS = 200


def use_of(limit: LimitRule, added: int, lead: Situation, moment: Moment) -> Use:
    """Return how far a limit is used up once it counts so many contacts of this decision, too."""
    if limit.tenant:
        return _of_tenant(limit, added, lead, moment.now)
    stretch, channel, playbook = moment.stretch(limit), limit.channel, limit.playbook
    counted = [moment.now] * added  # newest first
    for contact in reversed(lead.state.contacts):
        if contact.at >= stretch.start and channel in (0, contact.channel) and playbook in (0, contact.playbook):
            counted.append(contact.at)
    used, maximum = len(counted), limit.maximum
    if maximum == 0:
        return Use(used, None)
    if used < maximum:
        return Use(used, moment.now)
    return Use(used, counted[maximum - 1] + stretch.length_ms if stretch.length_ms else stretch.end)


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
