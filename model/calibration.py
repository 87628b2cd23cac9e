"""Calibration: the trees' log-odds to a probability that means what it says, as training chose it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from model.features import FloatArray

METHODS = ("none", "platt", "isotonic")


class Calibration(NamedTuple):
    """How log-odds become probabilities: by a logistic of slope and intercept, or along the knots of a rising line.

    Sources: Platt (1999); Zadrozny and Elkan (2002), linear between the steps of the isotonic fit.
    """

    method: str = "none"
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[FloatArray, FloatArray] | None = None  # log-odds, and their probabilities; both ascending

    def apply(self, raw: FloatArray) -> FloatArray:
        """Return the probabilities of log-odds, any shape."""
        if self.knots is not None:
            return np.interp(raw, *self.knots)
        return np.asarray(1 / (1 + np.exp(-(self.slope * raw + self.intercept))))

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest keeps."""
        found: dict[str, Any] = {"method": self.method, "slope": self.slope, "intercept": self.intercept}
        return found if self.knots is None else {**found, "knots": [part.tolist() for part in self.knots]}


def calibration_of(data: Mapping[str, Any]) -> Calibration:
    """Return the calibration that a manifest keeps; raises ValueError for one that cannot be applied."""
    method, slope, intercept = data["method"], float(data["slope"]), float(data["intercept"])
    if method not in METHODS:
        raise ValueError(f"calibration {method!r} is not one of {', '.join(METHODS)}")
    if method != "isotonic":
        return Calibration(method, slope, intercept)
    log_odds, probability = (np.asarray(part, dtype=np.float64) for part in data["knots"])
    rising = (
        len(log_odds) == len(probability) > 0 and (np.diff(log_odds) >= 0).all() and (np.diff(probability) >= 0).all()
    )
    if not rising or not 0 <= probability[0] <= probability[-1] <= 1:
        raise ValueError("the calibration's knots do not rise from 0 to 1")
    return Calibration(method, slope, intercept, (log_odds, probability))
