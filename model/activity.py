"""Activity: what a lead did, as counts by day, and the numeric features that follow from it at any instant.

The one definition for training and serving: `model/snapshot.py` computes the same numbers for a whole portfolio at once, and a test holds
the two together bit for bit. An event changes one day's counts; how much a lead did before does not matter to its cost. Days are UTC
days since the epoch, -1 means never. Amounts are whole hundredths, so that no sum depends on its order.
"""

from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from model.events import CLICKS, INQUIRIES, OPENS, VIEWS, EventType
from model.features import LARGEST, NUMERIC, FloatArray

DAY_MS = 86_400_000
KEPT_DAYS = 90
NEVER = -1
MOST_HUNDREDTHS = round(LARGEST * 100)  # of a day's amounts


class DayCounts(NamedTuple):
    """What a lead did on one day; `active` is 1 when any of it was activity."""

    day: int
    active: int = 0
    views: int = 0
    opens: int = 0
    clicks: int = 0
    inquiries: int = 0
    hundredths: int = 0


class Activity(NamedTuple):
    """All that features need of a lead's events."""

    days: tuple[DayCounts, ...] = ()  # ascending; the last 90 before the newest
    first_day: int = NEVER
    last_day: int = NEVER
    previous_day: int = NEVER  # the active day before the last one
    visit_day: int = NEVER
    inquiry_day: int = NEVER
    active_days: int = 0  # ever


def with_event(activity: Activity, kind: EventType, occurred_at: int, value: float) -> Activity:
    """Return the activity after one more event; the order in which events arrive makes no difference within KEPT_DAYS."""
    day = occurred_at // DAY_MS
    days = activity.days
    place = bisect_left(days, (day,))
    known = place < len(days) and days[place].day == day
    before = days[place] if known else DayCounts(day)
    after = _counted(before, kind, value)
    days = (*days[:place], after, *days[place + known :])
    oldest = days[-1].day - KEPT_DAYS
    activity = activity._replace(days=tuple([counts for counts in days if counts.day > oldest]))
    return _with_active_day(activity, kind, day) if after.active > before.active else _seen(activity, kind, day)


def _counted(counts: DayCounts, kind: EventType, value: float) -> DayCounts:
    _, active, views, opens, clicks, inquiries, hundredths = counts
    return DayCounts(
        counts.day,
        int(active or kind.activity),
        views + (kind.counter == VIEWS),
        opens + (kind.counter == OPENS),
        clicks + (kind.counter == CLICKS),
        inquiries + (kind.counter == INQUIRIES),
        max(-MOST_HUNDREDTHS, min(hundredths + kind.amount * round(value * 100), MOST_HUNDREDTHS)),
    )


def _with_active_day(activity: Activity, kind: EventType, day: int) -> Activity:
    last, previous = activity.last_day, activity.previous_day
    if day > last:
        last, previous = day, last
    elif day > previous:
        previous = day
    first = day if activity.first_day == NEVER else min(activity.first_day, day)
    active_days = activity.active_days + 1
    moved = activity._replace(first_day=first, last_day=last, previous_day=previous, active_days=active_days)
    return _seen(moved, kind, day)


def _seen(activity: Activity, kind: EventType, day: int) -> Activity:
    if kind.counter == VIEWS:
        return activity._replace(visit_day=max(activity.visit_day, day))
    if kind.counter == INQUIRIES:
        return activity._replace(inquiry_day=max(activity.inquiry_day, day))
    return activity


def features_of(activity: Activity, now: int) -> FloatArray:
    """Return the numeric features at an instant, shape (k,), in the order of the schema; NaN is unknown."""
    # An event may be a little ahead of the clock, and so in the day after it.
    today = max([now // DAY_MS, *[counts.day for counts in activity.days[-1:]]])
    nan = float("nan")

    def since(day: int) -> float:
        return float(today - day) if day != NEVER else nan

    def total(column: int, length: int) -> float:
        return float(sum(counts[column] for counts in activity.days if counts.day > today - length))

    seven, fourteen, thirty, ninety = (total(1, length) for length in (7, 14, 30, 90))
    recency = since(activity.last_day)
    tenure = since(activity.first_day) if activity.first_day != NEVER else 0.0
    gap_mean = (tenure - recency) / (activity.active_days - 1) if activity.active_days > 1 else nan
    columns = {
        "days_since_last_activity": recency,
        "days_since_last_visit": since(activity.visit_day),
        "days_since_last_inquiry": since(activity.inquiry_day),
        "tenure_days": tenure,
        "active_days_7": seven,
        "active_days_14": fourteen,
        "active_days_30": thirty,
        "active_days_90": ninety,
        "page_views_30": total(2, 30),
        "email_opens_30": total(3, 30),
        "email_clicks_30": total(4, 30),
        "inquiries_90": total(5, 90),
        "amount_90": total(6, 90) / 100,
        "velocity_7": seven - (fourteen - seven),
        "trend_ratio": (1 + seven) / (1 + thirty * 7 / 30),
        "gap_mean": gap_mean,
        "gap_last": float(activity.last_day - activity.previous_day) if activity.active_days > 1 else nan,
        "silence_ratio": recency / gap_mean,
        "active_rate": min(activity.active_days / (tenure + 1), 1.0),
        "open_rate_90": total(3, 90) / max(ninety, 1),
    }
    return np.array([columns[feature.name] for feature in NUMERIC])
