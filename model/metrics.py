"""How good probabilities are: discrimination, calibration, and what a threshold catches, with intervals."""

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray

THRESHOLDS = (0.3, 0.6, 0.8)
BINS = 10
Z95 = 1.959964


def auc(score: FloatArray, label: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the share of (churned, stayed) pairs in the right order; ties count half."""
    order = np.argsort(score, kind="stable")
    _, first, counts = np.unique(score[order], return_index=True, return_counts=True)
    ranks = np.empty(len(score))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    positives, negatives = int(label.sum()), int((~label).sum())
    return float((ranks[label].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(score: FloatArray, label: NDArray[np.bool_]) -> float:
    """Return the area under the precision-recall curve, as the mean precision at each churned lead."""
    ranked = label[np.argsort(-score, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float(precision[ranked].mean())


def brier(score: FloatArray, label: NDArray[np.bool_]) -> float:
    """Return the mean squared error of the probabilities."""
    return float(np.mean((score - label) ** 2))


def calibration_error(score: FloatArray, label: NDArray[np.bool_]) -> float:
    """Return the expected calibration error over ten equally filled bins."""
    return float(np.abs(np.bincount(bins_of(score), weights=score - label)).sum() / len(score))


def bins_of(score: FloatArray) -> NDArray[np.int64]:
    """Return which of ten equally filled bins each score is in."""
    bins = np.empty(len(score), dtype=np.int64)
    for number, part in enumerate(np.array_split(np.argsort(score, kind="stable"), BINS)):
        bins[part] = number
    return bins


def wilson(successes: float, trials: float) -> list[float]:
    """Return the 95 % Wilson interval of a share; [0, 1] of nothing. Trials need not be whole: some are worth less than one."""
    if trials == 0:
        return [0.0, 1.0]
    share, spread = successes / trials, Z95**2 / trials
    middle, width = share + spread / 2, Z95 * sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return [round((middle - width) / (1 + spread), 4), round((middle + width) / (1 + spread), 4)]


def report(score: FloatArray, label: NDArray[np.bool_]) -> dict[str, Any]:
    """Return every figure of a set of scored leads with known outcomes."""
    found: dict[str, Any] = {
        "leads": len(score),
        "base_rate": round(float(label.mean()), 4),
        "auc": round(auc(score, label), 4),
        "average_precision": round(average_precision(score, label), 4),
        "brier": round(brier(score, label), 4),
        "calibration_error": round(calibration_error(score, label), 4),
    }
    for threshold in THRESHOLDS:
        above = score > threshold
        hits = int((above & label).sum())
        found[f"above_{threshold}"] = {
            "leads": int(above.sum()),
            "precision": round(hits / int(above.sum()), 4) if above.any() else None,
            "precision_95": wilson(hits, int(above.sum())),
            "recall": round(hits / int(label.sum()), 4),
            "recall_95": wilson(hits, int(label.sum())),
        }
    return found
