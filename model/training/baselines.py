"""What the trees have to beat: recency alone, and BG/NBD."""

import numpy as np

from model.calibration import Calibration
from model.features import FloatArray
from model.training.bg_nbd import Repeats, fit_bg_nbd
from model.training.calibrate import logistic
from model.training.snapshots import RATE, RECENCY, TENURE, Snapshot

WEEK_DAYS = 7
UNKNOWN_RECENCY_DAYS = 365.0


def recency_only(train: Snapshot, test: Snapshot) -> FloatArray:
    """Return test leads' probabilities from a logistic of ln(1 + days since the last activity), fitted on the training leads."""

    def silent(part: Snapshot) -> FloatArray:
        return np.log1p(np.nan_to_num(part.numeric[:, RECENCY], nan=UNKNOWN_RECENCY_DAYS))

    slope, intercept = logistic(silent(train), train.churned)
    return Calibration("platt", slope, intercept).apply(silent(test))


def bg_nbd(cohort: FloatArray, test: Snapshot, horizon_days: int) -> FloatArray:
    """Return test leads' probabilities from BG/NBD over active days, fitted without labels on a cohort's features, (m, k)."""
    model = fit_bg_nbd(_repeats(cohort))
    return model.silent(_repeats(test.numeric), horizon_days / WEEK_DAYS)


def _repeats(numeric: FloatArray) -> Repeats:
    tenure = np.nan_to_num(numeric[:, TENURE])
    recency = np.nan_to_num(numeric[:, RECENCY])
    active_days = np.round(np.nan_to_num(numeric[:, RATE]) * (tenure + 1))
    return Repeats(np.maximum(active_days - 1, 0), np.maximum(tenure - recency, 0) / WEEK_DAYS, tenure / WEEK_DAYS)
