"""Categories as numbers: the smoothed churn rate of each value among the leads that the model learns from."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.features import CATEGORIES, FloatArray
from model.training.snapshots import Snapshot

SMOOTHING = 50.0  # a value's rate counts as much as the overall one at so many leads
FEWEST_LEADS = 20  # a rarer value would tell the outcome of its own leads


class Encoding(NamedTuple):
    """Rates by category and value, and the overall one, which stands for values that are not there."""

    rates: dict[str, dict[str, float]]
    base_rate: float

    def inputs(self, numeric: FloatArray, categories: Sequence[tuple[str, ...]]) -> FloatArray:
        """Return the model's inputs, (n, k + c)."""
        columns = [numeric]
        for place, feature in enumerate(CATEGORIES):
            rates = self.rates[feature.name]
            columns.append(np.array([[rates.get(row[place], self.base_rate)] for row in categories]))
        return np.concatenate(columns, axis=1)


def encoding_of(part: Snapshot) -> Encoding:
    """Return the encoding that these leads' outcomes give."""
    base_rate = float(part.churned.mean())
    tables: dict[str, dict[str, float]] = {}
    for place, feature in enumerate(CATEGORIES):
        values, where, counts = np.unique(
            [row[place] for row in part.categories], return_inverse=True, return_counts=True
        )
        churned = np.bincount(where, weights=part.churned)
        rates = (churned + SMOOTHING * base_rate) / (counts + SMOOTHING)
        frequent = counts >= FEWEST_LEADS
        tables[feature.name] = dict(zip(values[frequent].tolist(), rates[frequent].tolist(), strict=True))
    return Encoding(tables, base_rate)
