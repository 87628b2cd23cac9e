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
EARLY, MEDIAN, LATE = 0.1, 0.5, 0.9  # shares of such leads: the band, and its middle


def days_until(left: FloatArray, shares: Sequence[float]) -> FloatArray:
    """Return the days within which each share of such leads has left, (n, shares), of curves (n, PERIODS).

    0 when so many have left by now, infinite beyond the horizon.
    """
    wanted = np.array(shares)
    place = (left[:, None, :] < wanted[:, None]).sum(axis=2)
    after = np.minimum(np.maximum(place, 1), PERIODS - 1)
    lead = np.arange(len(left))[:, None]
    before, at = left[lead, after - 1], left[lead, after]
    days = (after - 1 + (wanted - before) / np.maximum(at - before, TINY)) * PERIOD_DAYS
    days[place == 0] = 0.0
    days[place == PERIODS] = np.inf
    return np.asarray(days)


def mean_days(stays: FloatArray) -> FloatArray:
    """Return the mean days until leaving, shape (n,), counting no more than the horizon: what ranks leads without ties."""
    return np.asarray((stays[:, :-1] + stays[:, 1:]).sum(axis=1) * (PERIOD_DAYS / 2))
