"""How good predicted times are when some leads were still there at the end: rank agreement and squared error, both weighted for censoring."""

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray
from model.metrics import Z95
from model.survival.cohort import Durations
from model.survival.kaplan_meier import StepCurve, censoring_curve
from model.training.intervals import draws, middle_95

ROWS_AT_ONCE = 256  # of pairs: a few MB
NO_PAIRS = "no two leads can be compared: nobody is known to have left before another"


def concordance(expected: FloatArray, durations: Durations) -> float:
    """Return Harrell's C: the share of pairs, one of whom is known to have left first, that `expected` days put in that order.

    Ties in `expected` count half; 0.5 is no better than chance. Raises ValueError when no pair can be compared.
    Source: Harrell et al. (1982).
    """
    return _pairs(expected, durations, np.ones(len(expected)), np.inf)


def ipcw_concordance(expected: FloatArray, durations: Durations, horizon_days: float) -> float:
    """Return Uno's C up to a horizon: as Harrell's, but pairs count more the fewer could be watched so long.

    Source: Uno et al. (2011), weights 1 / G(T-)^2 with the Kaplan-Meier curve G of the censoring.
    """
    watched = censoring_curve(durations.days, durations.observed).before(durations.days)
    weights = np.where(watched > 0, 1 / np.maximum(watched, 1e-12) ** 2, 0.0)
    return _pairs(expected, durations, weights, horizon_days)


def _pairs(expected: FloatArray, durations: Durations, weights: FloatArray, horizon_days: float) -> float:
    days, observed = durations.days, durations.observed
    right = total = 0.0
    for lead in np.flatnonzero(observed & (days < horizon_days)):
        longer = (days > days[lead]) | ((days == days[lead]) & ~observed)
        others = expected[longer]
        agreed = np.count_nonzero(others > expected[lead]) + 0.5 * np.count_nonzero(others == expected[lead])
        right += weights[lead] * agreed
        total += weights[lead] * len(others)
    if total == 0:
        raise ValueError(NO_PAIRS)
    return float(right / total)


def concordance_lead(
    expected: FloatArray, other: FloatArray, durations: Durations, leads: NDArray[np.int64], seed: int
) -> list[float]:
    """Return how much higher Harrell's C is with `expected` days than with the `other` model's, and its 95 % interval: [lead, low, high].

    Both are measured on the same draws of whole leads. Raises ValueError when no pair can be compared. Source: as `bootstrap`.
    """
    often = [np.bincount(rows, minlength=len(leads)) for rows in draws(leads, seed)]
    drawn = np.stack([np.ones(len(leads), dtype=np.int64), *often], axis=1).astype(
        np.float32
    )  # the first: everybody once
    right, total = np.zeros(drawn.shape[1]), np.zeros(drawn.shape[1])
    rows = np.flatnonzero(durations.observed)
    for block in np.array_split(rows, len(rows) // ROWS_AT_ONCE + 1):
        longer = _outlasts(durations, block)
        better = longer * (_agreed(expected, block) - _agreed(other, block))
        # Halves and small whole numbers: single precision adds them without error, whatever the order.
        right += (drawn[block] * (better @ drawn)).sum(axis=0, dtype=np.float64)
        total += (drawn[block] * (longer @ drawn)).sum(axis=0, dtype=np.float64)
    if total[0] == 0:
        raise ValueError(NO_PAIRS)
    known = total > 0
    leads_by = right[known] / total[known]
    return [round(float(leads_by[0]), 4), *middle_95(leads_by[1:])]


def _outlasts(durations: Durations, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return for each of the rows, who are known to have left, which leads are known to have stayed longer: 1 or 0, (rows, n)."""
    days, left = durations.days, durations.days[rows, None]
    return np.asarray((days > left) | ((days == left) & ~durations.observed), dtype=np.float32)


def _agreed(expected: FloatArray, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return whether each lead is expected to stay longer than each of the rows: 1, 0, or a half for a tie."""
    own = expected[rows, None]
    return np.asarray((expected > own) + 0.5 * (expected == own), dtype=np.float32)


def brier_at(stays: FloatArray, durations: Durations, day: float) -> float:
    """Return the mean squared error of the probabilities `stays` of being there after so many days, weighted for censoring.

    Raises ValueError when nobody was watched for so long. Source: Graf et al. (1999), weights 1 / G.
    """
    return float(_errors_at(stays, durations, day, censoring_curve(durations.days, durations.observed)).mean())


def _errors_at(stays: FloatArray, durations: Durations, day: float, watched: StepCurve) -> FloatArray:
    days, observed = durations.days, durations.observed
    end = float(watched.at(np.array([day]))[0])
    if end <= 0:
        raise ValueError(f"nobody was watched for {day:g} days")
    there = days > day
    left = ~there & observed
    weights = there / end + left / np.where(left, watched.before(days), 1.0)
    return np.asarray(weights * (stays - there) ** 2)


def integrated_errors(stays: FloatArray, durations: Durations, days: FloatArray) -> FloatArray:
    """Return each lead's error of `brier_at`, averaged over ascending days (trapezoids), (n,); `stays` has a column for each of them.

    Their mean is the integrated Brier score.
    """
    watched = censoring_curve(durations.days, durations.observed)
    errors = np.stack([_errors_at(stays[:, place], durations, day, watched) for place, day in enumerate(days)], axis=1)
    return np.asarray((errors[:, 1:] + errors[:, :-1]) / 2 @ np.diff(days) / (days[-1] - days[0]))


def gain(errors: FloatArray, other: FloatArray, leads: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return how much lower `errors` are than the `other` model's on the same rows, in the mean, with its 95 % interval.

    Rows of the same lead count as one draw. Source: the normal interval of a mean over clusters.
    """
    differences = other - errors
    mean = float(differences.mean())
    _, places = np.unique(leads, return_inverse=True)
    spread = float(np.sqrt((np.bincount(places, differences - mean) ** 2).sum()) / len(leads))
    return mean, mean - Z95 * spread, mean + Z95 * spread
