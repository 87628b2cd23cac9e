"""The figures of a model on leads whose outcomes it could not know, with intervals, and beside the baselines."""

from typing import Any

import numpy as np

from model.features import FloatArray
from model.metrics import THRESHOLDS, auc, average_precision, brier, calibration_error, report
from model.training.intervals import bootstrap, share_95
from model.training.snapshots import Snapshot

FIGURES = {"auc": auc, "average_precision": average_precision, "brier": brier, "calibration_error": calibration_error}


def evaluate(score: FloatArray, test: Snapshot, seed: int) -> dict[str, Any]:
    """Return every figure of the test leads' scores, each with its interval as `…_95`."""
    found = report(score, test.churned)
    found["distinct_leads"] = len(np.unique(test.leads))
    found["mean_score"] = round(float(score.mean()), 4)
    intervals = bootstrap(FIGURES, score, test.churned, test.leads, seed)
    found.update({f"{name}_95": interval for name, interval in intervals.items()})
    for threshold in THRESHOLDS:
        above = score > threshold
        part = found[f"above_{threshold}"]
        part["precision_95"] = share_95(test.churned[above], test.leads[above])
        part["recall_95"] = share_95(above[test.churned], test.leads[test.churned])
    return found
