"""Oblivious trees as arrays: evaluation equal to CatBoost's bit by bit in each leaf, and exact Shapley values.

CatBoost compares features as 32-bit floats with `x > border`, and so does this; an unknown (NaN) feature is never greater. Each row is summed
by itself in a fixed order, so a lead's score does not depend on who else is in the batch.
"""

from itertools import combinations
from math import factorial
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
        leaves = self._leaves(numeric.astype(np.float32))
        picked = self.values[np.arange(self.values.shape[0]), leaves]
        return np.asarray(picked.sum(axis=1) * self.scale + self.bias)

    def _leaves(self, rows: NDArray[np.float32]) -> NDArray[np.uint8]:
        leaves = np.zeros((rows.shape[0], self.features.shape[1]), dtype=np.uint8)
        for depth in range(DEPTH):
            leaves |= (rows[:, self.features[depth]] > self.borders[depth]).view(np.uint8) << np.uint8(depth)
        return leaves

    def expected(self) -> float:
        """Return the mean log-odds over the leads that the model was trained on."""
        means = (self.values * self.weights).sum(axis=1) / self.weights.sum(axis=1)
        return float(means.sum() * self.scale + self.bias)

    def contributions(self, numeric: FloatArray) -> FloatArray:
        """Return what each feature of one lead added to `expected`, shape (k,); they add up to its log-odds.

        Source: Shapley values over each tree's own features; the value of a set is the mean of the leaves that agree with the lead on it,
        weighted by the training leads in them.
        """
        players, agree = self._players(numeric.astype(np.float32))
        worth = np.empty((self.values.shape[0], LEAVES))
        for members in range(LEAVES):
            chosen = [player for player in range(DEPTH) if members >> player & 1]
            inside = agree[:, chosen].all(axis=1) if chosen else np.ones_like(agree[:, 0])
            weight = self.weights * inside
            total = weight.sum(axis=1)
            plain = (self.values * inside).sum(axis=1) / inside.sum(axis=1)
            mean = (self.values * weight).sum(axis=1) / np.where(total > 0, total, 1)
            worth[:, members] = np.where(total > 0, mean, plain)
        shares = worth @ SHAPLEY * self.scale
        result = np.zeros(len(numeric))
        np.add.at(result, players.T.ravel(), shares.ravel())
        return result

    def _players(self, row: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return each slot's feature, (DEPTH, t), and which leaves agree with the lead on it, (t, DEPTH, LEAVES).

        A feature that a tree asks twice is one player, in its first slot; its other slots agree with every leaf and so are worth nothing.
        """
        bits = (np.arange(LEAVES)[None, :] >> np.arange(DEPTH)[:, None] & 1).astype(bool)
        went = row[self.features] > self.borders
        same = went.T[:, :, None] == bits[None]
        agree = np.ones_like(same)
        for depth in range(DEPTH):
            first = (self.features[: depth + 1] == self.features[depth]).argmax(axis=0)
            trees = np.arange(self.features.shape[1])
            agree[trees, first] &= same[:, depth]
        return self.features, agree


def _shapley_matrix() -> FloatArray:
    """Return the matrix that takes the worth of each set of players to each player's share, (LEAVES, DEPTH)."""
    matrix = np.zeros((LEAVES, DEPTH))
    for player in range(DEPTH):
        others = [other for other in range(DEPTH) if other != player]
        for size in range(DEPTH):
            share = factorial(size) * factorial(DEPTH - size - 1) / factorial(DEPTH)
            for chosen in combinations(others, size):
                members = sum(1 << other for other in chosen)
                matrix[members | 1 << player, player] += share
                matrix[members, player] -= share
    return matrix


SHAPLEY = _shapley_matrix()


def trees_from_catboost(model: dict[str, Any]) -> dict[str, Any]:
    """Return the trees of CatBoost's JSON export as plain lists, ready for a file.

    Raises:
        ValueError: The model has splits that are not on numbers, or trees deeper than `DEPTH`.

    """
    trees = model["oblivious_trees"]
    scale, bias = model["scale_and_bias"]
    splits = [tree["splits"] for tree in trees]
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
