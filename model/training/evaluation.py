"""The figures of a model on leads whose outcomes it could not know, with intervals, and beside the baselines."""

from typing import Any

import numpy as np

from model.features import FloatArray
from model.metrics import THRESHOLDS, auc, average_precision, brier, calibration_error, report
from model.training.intervals import bootstrap, calibration_error_95, share_95
from model.training.snapshots import Snapshot

DRAWN = {"auc": auc, "average_precision": average_precision, "brier": brier}
FIGURES = {**DRAWN, "calibration_error": calibration_error}


def evaluate(score: FloatArray, test: Snapshot, seed: int) -> dict[str, Any]:
    """Return every figure of the test leads' scores, each with its interval as `…_95`."""
    found = report(score, test.churned)
    found["distinct_leads"] = len(np.unique(test.leads))
    found["mean_score"] = round(float(score.mean()), 4)
    intervals = bootstrap(DRAWN, score, test.churned, test.leads, seed)
    intervals["calibration_error"] = calibration_error_95(score, test.churned, test.leads, seed)
    found.update({f"{name}_95": interval for name, interval in intervals.items()})
    for threshold in THRESHOLDS:
        above = score > threshold
        part = found[f"above_{threshold}"]
        part["precision_95"] = share_95(test.churned[above], test.leads[above])
        part["recall_95"] = share_95(above[test.churned], test.leads[test.churned])
    found["by_day"] = [_on(day, score, test) for day in np.unique(test.day).tolist()]
    return found


def _on(day: int, score: FloatArray, test: Snapshot) -> dict[str, float]:
    """Return the figures of one test day: together they show whether the model holds over time."""
    rows = test.day == day
    figures = {name: round(figure(score[rows], test.churned[rows]), 4) for name, figure in FIGURES.items()}
    base_rate, mean_score = float(test.churned[rows].mean()), float(score[rows].mean())
    return {
        "day": day,
        "leads": int(rows.sum()),
        "base_rate": round(base_rate, 4),
        "mean_score": round(mean_score, 4),
        **figures,
    }
