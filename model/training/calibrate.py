"""Fitting calibrations on log-odds of leads that the trees have not seen."""

import numpy as np
from numpy.typing import NDArray

from model.calibration import Calibration
from model.features import FloatArray

ISOTONIC_FEWEST = (
    5_000  # churned leads; with fewer its steps are noise (Niculescu-Mizil and Caruana, 2005: about a thousand at best)
)
EDGE = 1e-4  # no lead is certain
MOST_STEPS, CONVERGED, RIDGE = 50, 1e-10, 1e-9


def calibrations(raw: FloatArray, churned: NDArray[np.bool_]) -> dict[str, Calibration]:
    """Return by name every calibration that so many leads allow."""
    found = {"none": Calibration(), "platt": platt(raw, churned)}
    if churned.sum() >= ISOTONIC_FEWEST:
        found["isotonic"] = isotonic(raw, churned)
    return found


def platt(raw: FloatArray, churned: NDArray[np.bool_]) -> Calibration:
    """Return the logistic of the log-odds that fits best; none where it would turn the order of leads around. Source: Platt (1999)."""
    slope, intercept = logistic(raw, churned)
    return Calibration("platt", slope, intercept) if slope > 0 else Calibration()


def logistic(values: FloatArray, churned: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and intercept of the log-odds of churn over a number, by Newton's method.

    The targets lie a little inside of 0 and 1, as Platt's do, so that leads whom a threshold separates have a fit; and where all values are
    the same a faint ridge keeps the two parameters apart.
    """
    positives = int(churned.sum())
    negatives = len(churned) - positives
    target = np.where(churned, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    parameters = np.array([0.0, np.log((positives + 1) / (negatives + 1))])
    design = np.stack([values, np.ones_like(values)], axis=1)
    for _ in range(MOST_STEPS):
        probability = 1 / (1 + np.exp(-design @ parameters))
        weight = np.maximum(probability * (1 - probability), RIDGE)
        hessian = design.T @ (design * weight[:, None]) + RIDGE * np.eye(2)
        step = np.linalg.solve(hessian, design.T @ (target - probability))
        parameters += step
        if np.abs(step).max() < CONVERGED:
            break
    return float(parameters[0]), float(parameters[1])


def isotonic(raw: FloatArray, churned: NDArray[np.bool_]) -> Calibration:
    """Return the rising line that fits best; of each flat piece of the fit its two ends are kept."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(raw, kind="stable")
    fit = isotonic_regression(churned[order].astype(float))
    first = fit.blocks[:-1]
    ends = np.unique(np.concatenate([first, fit.blocks[1:] - 1]))
    return Calibration("isotonic", knots=(raw[order][ends], np.clip(fit.x[ends], EDGE, 1 - EDGE)))
