"""Oblivious trees as arrays: evaluation equal to CatBoost's bit by bit in each leaf.

CatBoost compares features as 32-bit floats with `x > border`, and so does this; an unknown (NaN) feature is never greater. Each row is summed
by itself in a fixed order, so a lead's score does not depend on who else is in the batch.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray

DEPTH = 6
LEAVES = 1 << DEPTH


class Trees(NamedTuple):
    """All trees of a model, depth first: (DEPTH, t) splits, (t, LEAVES) leaves. Shallow trees repeat a split that is never true."""

    features: NDArray[np.intp]
    borders: NDArray[np.float32]
    values: FloatArray
    weights: FloatArray
    scale: float
    bias: float

    def raw(self, numeric: FloatArray) -> FloatArray:
        """Return the log-odds of many leads, shape (n,), from features of shape (n, k)."""
        leaves = self.leaves(numeric)
        picked = self.values[np.arange(self.values.shape[0]), leaves]
        return np.asarray(picked.sum(axis=1) * self.scale + self.bias)

    def leaves(self, numeric: FloatArray) -> NDArray[np.uint8]:
        """Return the leaf of each tree that each lead falls into, shape (n, t), from features of shape (n, k)."""
        rows = numeric.astype(np.float32)
        leaves = np.zeros((rows.shape[0], self.features.shape[1]), dtype=np.uint8)
        for depth in range(DEPTH):
            leaves |= (rows[:, self.features[depth]] > self.borders[depth]).view(np.uint8) << np.uint8(depth)
        return leaves


def trees_from_catboost(model: dict[str, Any]) -> dict[str, Any]:
    """Return the trees of CatBoost's JSON export as plain lists, ready for a file.

    Raises:
        ValueError: The model has splits that are not on numbers, or trees deeper than `DEPTH`.

    """
    trees = model["oblivious_trees"]
    scale, bias = model["scale_and_bias"]
    splits = [tree["splits"] or [] for tree in trees]  # CatBoost writes null for a tree that is one leaf
    if any(len(split) > DEPTH for split in splits):
        raise ValueError(f"trees may have {DEPTH} levels")
    if any(condition["split_type"] != "FloatFeature" for split in splits for condition in split):
        raise ValueError("only splits on numbers can be evaluated")
    return {
        "scale": scale,
        "bias": bias[0],
        "features": [[condition["float_feature_index"] for condition in split] for split in splits],
        "borders": [[condition["border"] for condition in split] for split in splits],
        "values": [tree["leaf_values"] for tree in trees],
        "weights": [tree["leaf_weights"] for tree in trees],
    }


def trees_of(data: dict[str, Any]) -> Trees:
    """Return the trees that `trees_from_catboost` wrote down."""
    count = len(data["features"])
    features = np.zeros((DEPTH, count), dtype=np.intp)
    borders = np.full((DEPTH, count), np.inf, dtype=np.float32)
    values, weights = np.zeros((count, LEAVES)), np.zeros((count, LEAVES))
    for place in range(count):
        depth = len(data["features"][place])
        features[:depth, place] = data["features"][place]
        borders[:depth, place] = data["borders"][place]
        values[place, : 1 << depth] = data["values"][place]
        weights[place, : 1 << depth] = data["weights"][place]
    return Trees(features, borders, values, weights, float(data["scale"]), float(data["bias"]))
