"""Activity: what a lead did, as counts by day, and the numeric features that follow from it at any instant.

The one definition for training and serving: `model/snapshot.py` computes the same numbers for a whole portfolio at once, and a test holds
the two together bit for bit. An event changes one day's counts; how much a lead did before does not matter to its cost. Days are UTC
days since the epoch, -1 means never. Amounts are whole hundredths, so that no sum depends on its order.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from operator import mul
from typing import Any, NamedTuple

import numpy as np

from model.events import CLICKS, INQUIRIES, OPENS, PURCHASES, VIEWS, EventType
from model.features import LARGEST, FloatArray

DAY_MS = 86_400_000
QUARTER_MS = DAY_MS // 4
KEPT_DAYS = 90
YOUNGEST_DAYS = 7  # whom nothing is known of for so long, training does not ask about
NEVER = -1
MOST_HUNDREDTHS = round(LARGEST * 100)  # of a day's amounts
ANSWER_DAYS = 7  # a contact is answered by activity on its own day or on one of so many after it
TREND_GAPS = 3
NAN = float("nan")


class DayCounts(NamedTuple):
    """What a lead did on one day; `quarters` has a bit for each six hours (UTC) with activity, 0 when there was none."""

    day: int
    quarters: int = 0
    views: int = 0
    opens: int = 0
    clicks: int = 0
    inquiries: int = 0
    hundredths: int = 0
    purchases: int = 0


class Activity(NamedTuple):
    """All that features need of a lead's events."""

    days: tuple[DayCounts, ...] = ()  # ascending; the last 90 before the newest
    first_day: int = NEVER
    last_day: int = NEVER
    previous_day: int = NEVER  # the active day before the last one
    visit_day: int = NEVER
    inquiry_day: int = NEVER
    active_days: int = 0  # ever
    click_day: int = NEVER
    purchase_day: int = NEVER


RECENCIES: dict[int | None, str] = {
    VIEWS: "visit_day",
    INQUIRIES: "inquiry_day",
    CLICKS: "click_day",
    PURCHASES: "purchase_day",
}


def with_event(activity: Activity, kind: EventType, occurred_at: int, value: float) -> Activity:
    """Return the activity after one more event; the order in which events arrive makes no difference within KEPT_DAYS."""
    day = occurred_at // DAY_MS
    days = activity.days
    place = bisect_left(days, (day,))
    known = place < len(days) and days[place].day == day
    before = days[place] if known else DayCounts(day)
    after = _counted(before, kind, occurred_at, value)
    oldest = max(day, days[-1].day if days else day) - KEPT_DAYS
    days = (*days[:place], after, *days[place + known :])
    changed: dict[str, Any] = {"days": days[bisect_left(days, (oldest + 1,)) :]}
    recency = RECENCIES.get(kind.counter)
    if recency is not None:
        changed[recency] = max(getattr(activity, recency), day)
    if after.quarters and not before.quarters:
        changed |= _with_active_day(activity, day)
    return activity._replace(**changed)


def _counted(counts: DayCounts, kind: EventType, occurred_at: int, value: float) -> DayCounts:
    day, quarters, views, opens, clicks, inquiries, hundredths, purchases = counts
    counter = kind.counter
    return DayCounts(
        day,
        quarters | kind.activity << (occurred_at % DAY_MS) // QUARTER_MS,
        views + (counter == VIEWS),
        opens + (counter == OPENS),
        clicks + (counter == CLICKS),
        inquiries + (counter == INQUIRIES),
        max(-MOST_HUNDREDTHS, min(hundredths + kind.amount * round(value * 100), MOST_HUNDREDTHS)),
        purchases + (counter == PURCHASES),
    )


def _with_active_day(activity: Activity, day: int) -> dict[str, int]:
    """Return what one more active day changes."""
    last, previous = activity.last_day, activity.previous_day
    if day > last:
        last, previous = day, last
    elif day > previous:
        previous = day
    first = day if activity.first_day == NEVER else min(activity.first_day, day)
    return {"first_day": first, "last_day": last, "previous_day": previous, "active_days": activity.active_days + 1}


class Gaps(NamedTuple):
    """The gaps between a window's active days: deviation, the longest, and the last few over the mean."""

    deviation: float = NAN
    longest: float = NAN
    trend: float = NAN


def gaps_of(active: Sequence[int]) -> Gaps:
    """Return what the gaps between some active days, ascending, are like; NaN for what too few gaps do not say."""
    gaps = [later - earlier for earlier, later in pairwise(active)]
    count = len(gaps)
    if not count:
        return Gaps()
    total = active[-1] - active[0]
    deviation = sqrt(count * sum(map(mul, gaps, gaps)) - total * total) / count
    trend = (sum(gaps[-TREND_GAPS:]) / TREND_GAPS) / (total / count) if count > TREND_GAPS else NAN
    return Gaps(deviation, float(max(gaps)), trend)


class Response(NamedTuple):
    """How a lead answered to contacts: those of the last 30 days, those of them without an answer, share answered of 90 days'."""

    contacts: float = 0.0
    unanswered: float = 0.0
    rate: float = NAN  # of the contacts that were answered or cannot be any more


def response_of(contact_days: Sequence[int], active: Sequence[int], today: int) -> Response:
    """Return how contacts (days, ascending) were answered by the active days (ascending) of the last 90."""
    contacts = unanswered = answered = lapsed = 0
    for day in contact_days:
        if day <= today - KEPT_DAYS:
            continue
        place = bisect_left(active, day)
        answer = place < len(active) and active[place] <= day + ANSWER_DAYS
        answered += answer
        lapsed += not answer and day + ANSWER_DAYS < today
        if day > today - 30:
            contacts += 1
            unanswered += not answer
    rate = answered / (answered + lapsed) if answered + lapsed else NAN
    return Response(float(contacts), float(unanswered), rate)


# The week in 28 parts of six hours; 13 weeks fit into a byte each, so a sum of these integers is the profile of 90 days.
_WEEK = [
    [sum(1 << 8 * (4 * weekday + quarter) for quarter in range(4) if mask >> quarter & 1) for mask in range(16)]
    for weekday in range(7)
]


def week_concentration(days: Sequence[DayCounts]) -> float:
    """Return the chance that two of the days' active quarters, drawn with replacement, are in the same part of the week; NaN for none.

    It says how regular a lead is and not when, so it needs no time zone. Source: Simpson (1949).
    """
    parts = sum([_WEEK[counts[0] % 7][counts[1]] for counts in days]).to_bytes(28)
    total = sum(parts)
    return sum(map(mul, parts, parts)) / (total * total) if total else NAN


def features_of(activity: Activity, now: int, contact_days: Sequence[int] = ()) -> FloatArray:
    """Return the numeric features at an instant, shape (k,), in the order of the schema; NaN is unknown.

    Args:
        activity: What the lead did.
        now: The instant, in ms. Only its UTC day matters.
        contact_days: The UTC days of the contacts that were granted to the lead, ascending; one entry a contact.

    """
    days, first_day, last_day, previous_day, visit_day, inquiry_day, active_days, click_day, purchase_day = activity
    # An event may be a little ahead of the clock, and so in the day after it.
    today = max(now // DAY_MS, days[-1].day) if days else now // DAY_MS
    recent = days[bisect_left(days, (today - 89,)) :]
    dates, quarters, *counters = zip(*recent, strict=True) if recent else ((),) * 8
    active = [day for day, mask in zip(dates, quarters, strict=True) if mask]
    ninety = len(active)
    seven, fourteen, thirty, sixty = (ninety - bisect_right(active, today - length) for length in (7, 14, 30, 60))
    week, month = bisect_right(dates, today - 7), bisect_right(dates, today - 30)
    views, opens, clicks, inquiries, hundredths, purchases = (
        (sum(column[week:]), sum(column[month:]), sum(column)) for column in counters
    )
    recency = today - last_day if last_day >= 0 else NAN
    tenure = today - first_day if first_day >= 0 else 0
    gap_mean = (tenure - recency) / (active_days - 1) if active_days > 1 else NAN
    gaps, response = gaps_of(active), response_of(contact_days, active, today)
    # In the order of the schema; `model/snapshot.py` has them by name.
    return np.array(
        (
            recency,
            today - visit_day if visit_day >= 0 else NAN,
            today - inquiry_day if inquiry_day >= 0 else NAN,
            tenure,
            seven,
            fourteen,
            thirty,
            ninety,
            views[1],
            opens[1],
            clicks[1],
            inquiries[2],
            hundredths[2] / 100,
            seven - (fourteen - seven),
            (1 + seven) / (1 + thirty * 7 / 30),
            gap_mean,
            last_day - previous_day if active_days > 1 else NAN,
            recency / gap_mean,
            min(active_days / (tenure + 1), 1.0),
            opens[2] / max(ninety, 1),
            today - click_day if click_day >= 0 else NAN,
            today - purchase_day if purchase_day >= 0 else NAN,
            views[0],
            views[2],
            opens[0],
            opens[2],
            clicks[0],
            clicks[2],
            inquiries[0],
            inquiries[1],
            purchases[0],
            purchases[1],
            purchases[2],
            hundredths[0] / 100,
            hundredths[1] / 100,
            thirty - (sixty - thirty),
            *gaps,
            clicks[2] / opens[2] if opens[2] else NAN,
            *response,
            week_concentration(recent),
        ),
        dtype=np.float64,
    )
