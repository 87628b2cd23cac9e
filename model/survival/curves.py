"""Curves over periods: the share of such leads that has left, and the share that stays, by the end of each period.

Period 0 is the snapshot itself (the silence has begun already); then 24 periods of 10 days. Within a period leads leave evenly.
"""

from bisect import bisect_left

import numpy as np

from model.features import FloatArray

PERIOD_DAYS, HORIZON_DAYS = 10, 240
EDGES = np.arange(0.0, HORIZON_DAYS + 1, PERIOD_DAYS)
PERIODS = len(EDGES)
EARLY, MEDIAN, LATE = 0.1, 0.5, 0.9  # shares of such leads: the band, and its middle


def days_until(left: list[float], share: float) -> float | None:
    """Return the days within which a share of such leads has left, 0 when so many have by now; None beyond the horizon."""
    place = bisect_left(left, share)
    if place == 0:
        return 0.0
    if place == PERIODS:
        return None
    before = left[place - 1]
    return PERIOD_DAYS * (place - 1 + (share - before) / (left[place] - before))


def mean_days(stays: FloatArray) -> FloatArray:
    """Return the mean days until leaving, shape (n,), counting no more than the horizon: what ranks leads without ties."""
    return np.asarray((stays[:, :-1] + stays[:, 1:]).sum(axis=1) * (PERIOD_DAYS / 2))
