"""95 % intervals for figures of leads that repeat: rows of one lead are no independent evidence, so whole leads are drawn, not rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray
from model.metrics import BINS, bins_of, wilson

DRAWS = 200
Figure = Callable[[FloatArray, NDArray[np.bool_]], float]


def bootstrap(
    figures: Mapping[str, Figure], score: FloatArray, label: NDArray[np.bool_], leads: NDArray[np.int64], seed: int
) -> dict[str, list[float]]:
    """Return each figure's 95 % interval over draws of whole leads, with replacement.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile intervals over clusters.
    """
    found: dict[str, list[float]] = {name: [] for name in figures}
    for rows in draws(leads, seed):
        if 0 < label[rows].sum() < len(rows):
            for name, figure in figures.items():
                found[name].append(figure(score[rows], label[rows]))
    return {name: middle_95(values) for name, values in found.items()}


def calibration_error_95(
    score: FloatArray, label: NDArray[np.bool_], leads: NDArray[np.int64], seed: int
) -> list[float]:
    """Return the 95 % interval of the calibration error, over draws of whole leads.

    The middle of the draws' own errors would not hold the true one: of a model that is well calibrated the error is noise, and a draw adds as
    much again. But it is no farther from the true one than the gaps of its bins are from theirs, all together; the draws say how far that is.
    """
    bins = bins_of(score)
    error = score - label
    gaps = _gaps(bins, error)
    distances = [np.abs(_gaps(bins[rows], error[rows]) - gaps).sum() for rows in draws(leads, seed)]
    found, distance = np.abs(gaps).sum(), np.quantile(distances, 0.95)
    return [round(float(max(found - distance, 0.0)), 4), round(float(found + distance), 4)]


def _gaps(bins: NDArray[np.int64], error: FloatArray) -> FloatArray:
    """Return how far each bin's probabilities are off, weighted by its share of the rows."""
    return np.bincount(bins, weights=error, minlength=BINS) / len(error)


def draws(leads: NDArray[np.int64], seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield the rows of DRAWS draws: as many leads as there are, with replacement, each with all of its rows."""
    order = np.argsort(leads, kind="stable")
    _, first, counts = np.unique(leads[order], return_index=True, return_counts=True)
    draw = np.random.default_rng(seed)
    for _ in range(DRAWS):
        drawn = draw.integers(len(first), size=len(first))
        yield order[_spans(first[drawn], counts[drawn])]


def middle_95(values: Sequence[float] | FloatArray) -> list[float]:
    """Return the interval that leaves out a fortieth of the values at each end."""
    return [round(float(x), 4) for x in np.quantile(values, (0.025, 0.975))]


def _spans(first: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return first, first + 1, …, first + count - 1 of every pair, one after the other."""
    ends = np.cumsum(counts)
    return np.arange(ends[-1]) - np.repeat(ends - counts, counts) + np.repeat(first, counts)


def share_95(hits: NDArray[np.bool_], leads: NDArray[np.int64]) -> list[float]:
    """Return the 95 % Wilson interval of a share among rows, at as many trials as rows that repeat leads are worth.

    Source: Korn and Graubard, Survey Methodology 24 (1998): trials divided by the design effect, the ratio of the variance over whole
    leads to that over rows; where all rows agree, which says nothing about it, leads count instead of rows.
    """
    trials = len(hits)
    if trials == 0:
        return wilson(0, 0)
    _, where = np.unique(leads, return_inverse=True)
    distinct = int(where.max()) + 1
    share = float(hits.mean())
    by_lead = np.bincount(where, weights=hits - share)
    variance = share * (1 - share) * trials
    effect = float((by_lead**2).sum()) / variance if variance > 0 else trials / distinct
    worth = trials / max(effect, 1.0)
    return wilson(share * worth, worth)
