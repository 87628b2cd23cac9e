"""Drift: how far the leads scored now are from those of the training snapshot, as one number a feature and one for the score.

The training snapshot's histograms are the `profile` of an artifact's manifest; served leads are counted in the same bins. Counts are plain
arrays, so those of several batches or replicas add up.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.activity import YOUNGEST_DAYS
from model.features import CATEGORIES, NUMERIC, FloatArray, number_place

Profile = Mapping[str, Mapping[str, Any]]
Counts = dict[str, NDArray[np.int64]]
SCORE = "score"
BINS = 10
SCORE_EDGES = [place / BINS for place in range(1, BINS)]
RECENCY, TENURE = number_place("days_since_last_activity"), number_place("tenure_days")
MOST_VALUES = 50  # of a category; the others are counted together
SMALLEST_SHARE = 1e-4  # an empty bin would make the logarithm infinite


def profile_of(
    numeric: FloatArray, categories: Sequence[tuple[str, ...]], scores: FloatArray
) -> dict[str, dict[str, Any]]:
    """Return the histograms of a training snapshot by feature name, and the score's under `score`, ready for JSON.

    A number's has the `edges` between about ten equally filled bins (x <= edge is below it) and `shares`, the last of them unknown values'.
    A category's has its `values`, most frequent first ("" is unknown), and `shares`, the last of them all other values'. The score's has
    ten bins of equal width.

    Args:
        numeric: Shape (n, k), in the order of the schema; NaN is unknown.
        categories: One tuple a lead, in the order of the schema.
        scores: Calibrated probabilities of leads that the model was not trained on, shape (m,).

    """
    profile: dict[str, dict[str, Any]] = {}
    for place, feature in enumerate(NUMERIC):
        edges = _edges(numeric[:, place])
        profile[feature.name] = {"edges": edges, "shares": [0.0] * (len(edges) + 2)}
    for place, category in enumerate(CATEGORIES):
        values = _most_frequent([row[place] for row in categories])
        profile[category.name] = {"values": values, "shares": [0.0] * (len(values) + 1)}
    profile[SCORE] = {"edges": SCORE_EDGES, "shares": [0.0] * BINS}
    for name, counted in counts_in(profile, numeric, categories, scores).items():
        profile[name]["shares"] = (counted / max(int(counted.sum()), 1)).tolist()
    return profile


def counts_in(
    profile: Profile, numeric: FloatArray, categories: Sequence[tuple[str, ...]], scores: FloatArray
) -> Counts:
    """Return how many leads fall into each bin of a profile, by name; arguments as in `profile_of`."""
    counts: Counts = {}
    for place, feature in enumerate(NUMERIC):
        counts[feature.name] = _in_bins(profile[feature.name], numeric[:, place])
    for place, category in enumerate(CATEGORIES):
        histogram = profile[category.name]
        places = {value: number for number, value in enumerate(histogram["values"])}
        found = [places.get(row[place], len(places)) for row in categories]
        counts[category.name] = np.bincount(np.array(found, dtype=np.int64), minlength=len(places) + 1)
    counts[SCORE] = _in_bins(profile[SCORE], scores)
    return counts


def asked_about(numeric: FloatArray, silence_days: int | None) -> NDArray[np.bool_]:
    """Return which leads may be compared with the training snapshot: it has none that are silent for longer, or younger than a week.

    Args:
        numeric: Shape (n, k), in the order of the schema; NaN is unknown, and rules nobody out.
        silence_days: The training's silence length; None when it chose by none.

    """
    if silence_days is None:
        return np.ones(len(numeric), dtype=bool)
    recency, tenure = numeric[:, RECENCY], numeric[:, TENURE]
    return np.asarray(~((recency > silence_days) | (tenure < YOUNGEST_DAYS)))


def psi(profile: Profile, counts: Mapping[str, NDArray[np.int64]]) -> dict[str, float]:
    """Return the population stability index by name, for every name in `counts`; NaN where nothing was counted.

    Below .1 is no drift worth a look, above .25 is another population (Siddiqi, Credit Risk Scorecards, 2006): the sum over bins of
    (now - then) ln(now / then), with shares below 0.0001 taken as that.
    """
    found = {}
    for name, counted in counts.items():
        then = np.maximum(profile[name]["shares"], SMALLEST_SHARE)
        now = np.maximum(counted / max(int(counted.sum()), 1), SMALLEST_SHARE)
        found[name] = float(((now - then) * np.log(now / then)).sum()) if counted.any() else float("nan")
    return found


def _edges(values: FloatArray) -> list[float]:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return []
    inner = np.unique(np.quantile(known, SCORE_EDGES, method="inverted_cdf"))
    return [float(edge) for edge in inner if edge < known.max()]  # above the largest value there is nothing


def _in_bins(histogram: Mapping[str, Any], values: FloatArray) -> NDArray[np.int64]:
    edges = histogram["edges"]
    places = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(places.astype(np.int64), minlength=len(histogram["shares"]))


def _most_frequent(values: Sequence[str]) -> list[str]:
    found, counts = np.unique(np.array(values, dtype=object).astype(str), return_counts=True)
    return [str(found[place]) for place in np.argsort(-counts, kind="stable")[:MOST_VALUES]]
