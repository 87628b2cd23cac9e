"""Cox's proportional hazards, for comparison only.

Our own forty lines: lifelines brings matplotlib, autograd and formulaic, scikit-survival needs scikit-learn and two solvers, for a
model that never serves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray
from model.survival.cohort import Durations

RIDGE = 0.1  # per lead, on standardised inputs: the one of the reference figures
FAR_OUT = 5.0  # standard deviations
STEPS, CLOSE_ENOUGH = 40, 1e-8


class Cox(NamedTuple):
    """A fitted model: how inputs are standardised, what each weighs, and the cumulative hazard at zero by day."""

    means: FloatArray
    spreads: FloatArray
    weights: FloatArray
    days: FloatArray
    hazard: FloatArray

    def risk(self, inputs: FloatArray) -> FloatArray:
        """Return the log hazard ratios of many leads, shape (n,)."""
        return np.asarray(_standard(inputs, self.means, self.spreads) @ self.weights)

    def stays(self, inputs: FloatArray, days: FloatArray) -> FloatArray:
        """Return the probability of being there after each of the days, shape (n, len(days))."""
        base = np.concatenate([[0.0], self.hazard])[np.searchsorted(self.days, days, side="right")]
        return np.asarray(np.exp(-base[None, :] * np.exp(self.risk(inputs))[:, None]))


def _standard(inputs: FloatArray, means: FloatArray, spreads: FloatArray) -> FloatArray:
    # Clipped, so that a few far-out leads do not rule the fit.
    return np.clip((np.where(np.isnan(inputs), means, inputs) - means) / spreads, -FAR_OUT, FAR_OUT)


def _moments(inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the known values' means and standard deviations; 1 for an input that never differs, so that it weighs nothing."""
    known = ~np.isnan(inputs)
    count = np.maximum(known.sum(axis=0), 1)
    means = np.where(known, inputs, 0).sum(axis=0) / count
    spreads = np.sqrt(np.where(known, (inputs - means) ** 2, 0).sum(axis=0) / count)
    return means, np.where(spreads > 0, spreads, 1.0)


def fit_cox(inputs: FloatArray, durations: Durations) -> Cox:
    """Return the model that maximises the partial likelihood, with a ridge; an unknown input counts as the mean of the known ones.

    Source: Cox (1972); ties as Breslow (1974), whose estimate the cumulative hazard is, too; Newton's method.
    """
    means, spreads = _moments(inputs)
    order = np.argsort(durations.days, kind="stable")
    rows = _standard(inputs, means, spreads)[order]
    days, observed = durations.days[order], durations.observed[order]
    times, first = np.unique(days, return_index=True)
    left = np.add.reduceat(observed.astype(np.float64), first)
    reached = np.add.reduceat(rows * observed[:, None], first, axis=0).sum(axis=0)
    weights = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        gradient, curvature = _slopes(rows, first, left, reached, weights)
        step = np.linalg.solve(curvature, gradient)
        weights += step
        if np.abs(step).max() < CLOSE_ENOUGH:
            break
    there = _from_here(np.exp(rows @ weights), first)
    return Cox(means, spreads, weights, times, np.cumsum(left / there))


def _from_here(values: FloatArray, first: NDArray[np.intp]) -> FloatArray:
    """Return the sum over everybody who is still there at each time."""
    return np.asarray(np.cumsum(np.add.reduceat(values, first, axis=0)[::-1], axis=0)[::-1])


def _slopes(
    rows: FloatArray, first: NDArray[np.intp], left: FloatArray, reached: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return gradient and negative Hessian of the penalised partial log-likelihood."""
    count = len(rows)
    ratio = np.exp(rows @ weights)
    there = _from_here(ratio, first)
    mean = _from_here(rows * ratio[:, None], first) / there[:, None]
    gradient = reached - left @ mean - RIDGE * count * weights
    second = np.zeros((rows.shape[1], rows.shape[1]))
    share = np.repeat(np.cumsum(left / there), np.diff(np.append(first, count)))
    second = (rows * (ratio * share)[:, None]).T @ rows - (mean * left[:, None]).T @ mean
    return gradient, second + RIDGE * count * np.eye(rows.shape[1])
