"""Kaplan-Meier: how many stay how long, without looking at who they are; the yardstick that any model has to beat."""

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray


class StepCurve:
    """A survival curve that falls at some days and is level between them."""

    def __init__(self, days: FloatArray, shares: FloatArray) -> None:
        self.days = days
        self.shares = shares

    def at(self, days: FloatArray) -> FloatArray:
        """Return the share that stays longer than so many days."""
        return self._before(np.searchsorted(self.days, days, side="right"))

    def before(self, days: FloatArray) -> FloatArray:
        """Return the share that stays at least so many days: the curve just before them."""
        return self._before(np.searchsorted(self.days, days, side="left"))

    def _before(self, places: NDArray[np.intp]) -> FloatArray:
        return np.concatenate([[1.0], self.shares])[places]


def kaplan_meier(days: FloatArray, observed: NDArray[np.bool_]) -> StepCurve:
    """Return the survival curve of leads that left (`observed`), or were last seen, after so many days.

    Source: Kaplan and Meier (1958), product over the days on which somebody left of 1 - left / still there.
    """
    times, left = np.unique(days[observed], return_counts=True)
    there = len(days) - np.searchsorted(np.sort(days), times, side="left")
    return StepCurve(times, np.asarray(np.cumprod(1.0 - left / there), dtype=np.float64))


def censoring_curve(days: FloatArray, observed: NDArray[np.bool_]) -> StepCurve:
    """Return the curve of how long leads could be watched. Who left on the day on which others went out of sight left first."""
    times, lost = np.unique(days[~observed], return_counts=True)
    ordered = np.sort(days)
    left = np.sort(days[observed])
    there = len(days) - np.searchsorted(ordered, times, side="left")
    gone = np.searchsorted(left, times, side="right") - np.searchsorted(left, times, side="left")
    return StepCurve(times, np.asarray(np.cumprod(1.0 - lost / (there - gone)), dtype=np.float64))
