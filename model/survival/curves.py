"""Curves over periods: the share of such leads that has left, and the share that stays, by the end of each period.

Period 0 is the snapshot itself (the silence has begun already); then 24 periods of 10 days. Within a period leads leave evenly.
"""

from collections.abc import Sequence

import numpy as np

from model.features import FloatArray

PERIOD_DAYS, HORIZON_DAYS = 10, 240
EDGES = np.arange(0.0, HORIZON_DAYS + 1, PERIOD_DAYS)
PERIODS = len(EDGES)
TINY = np.finfo(np.float64).tiny  # a curve that is flat there is past the horizon, or was before now
# By the number of periods that end before a share has left: the one between whose ends it leaves, and how many are over when that begins.
REACHED = np.array([1, *range(1, PERIODS), PERIODS - 1])
PERIODS_BEFORE = np.array([0, *range(PERIODS - 1), np.inf])
EARLY, MEDIAN, LATE = 0.1, 0.5, 0.9  # shares of such leads: the band, and its middle


def days_until(left: FloatArray, shares: Sequence[float]) -> FloatArray:
    """Return the days within which each share of such leads has left, (shares, n), of curves (PERIODS, n).

    0 when so many have left by now, infinite beyond the horizon.
    """
    wanted, count = np.array(shares)[:, None], left.shape[1]
    place = np.add.reduce((left[:, None] < wanted).view(np.uint8), dtype=np.uint8)
    points, at_place = left.ravel(), REACHED.take(place) * count + np.arange(count)
    before, at = points.take(at_place - count), points.take(at_place)
    periods = PERIODS_BEFORE.take(place) + (wanted - before) / np.maximum(at - before, TINY)
    return np.asarray(np.maximum(periods, 0) * PERIOD_DAYS)


def mean_days(stays: FloatArray) -> FloatArray:
    """Return the mean days until leaving, shape (n,), counting no more than the horizon: what ranks leads without ties."""
    return np.asarray((stays[:, :-1] + stays[:, 1:]).sum(axis=1) * (PERIOD_DAYS / 2))
