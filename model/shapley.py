"""Exact Shapley values of oblivious trees: what each feature of a lead added to the average lead's log-odds.

In one tree they depend on nothing but the leaf that the lead falls into, so they are computed once for each leaf, at load; a lead is then one
row of each tree, added up by feature.
"""

from itertools import combinations
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray
from model.trees import DEPTH, LEAVES, Trees


class ShapleyTable(NamedTuple):
    """The mean log-odds over the training leads, and each leaf's shares: (t, LEAVES, DEPTH), for the features (t, DEPTH)."""

    expected: float
    shares: FloatArray
    features: NDArray[np.intp]

    def contributions(self, leaves: NDArray[np.uint8], count: int) -> FloatArray:
        """Return what each of `count` inputs added to `expected`, from the leaf of each tree, (t,), that the lead fell into."""
        shares = self.shares[np.arange(len(leaves)), leaves]
        return np.asarray(np.bincount(self.features.ravel(), weights=shares.ravel(), minlength=count))


def shapley_table(trees: Trees) -> ShapleyTable:
    """Return the Shapley values of every leaf.

    Source: Shapley (1953) over each tree's own features; the value of a set of features is the mean of the leaves that agree with the
    lead's on it, weighted by the training leads in them.
    """
    known = _together(trees.features)
    worth = np.empty((trees.values.shape[0], LEAVES, LEAVES))  # by tree, leaf and set of known answers
    for answers in range(LEAVES):
        worth[:, :, answers] = _mean_of_agreeing(trees, answers)
    of_players = np.take_along_axis(worth, known[:, None, :], axis=2)
    means = (trees.values * trees.weights).sum(axis=1) / trees.weights.sum(axis=1)
    expected = float(means.sum() * trees.scale + trees.bias)
    return ShapleyTable(expected, of_players @ SHAPLEY * trees.scale, trees.features.T)


def _together(features: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return which answers each set of players knows, (t, LEAVES).

    A feature that a tree asks more than once is one player, in its first slot, and knows all its answers; its other slots know nothing.
    """
    same = features[:, None, :] == features[None, :, :]  # (slot, other slot, tree)
    first = same.argmax(axis=0) == np.arange(DEPTH)[:, None]
    knows = ((same & first[:, None, :]) << np.arange(DEPTH)[None, :, None]).sum(axis=1)  # (player, tree)
    members = np.arange(LEAVES)[:, None] >> np.arange(DEPTH) & 1
    return np.asarray(np.bitwise_or.reduce(members[:, :, None] * knows[None], axis=1).T)


def _mean_of_agreeing(trees: Trees, answers: int) -> FloatArray:
    """Return, for each leaf, the mean of the leaves with the same answers, (t, LEAVES); of no training leads, the plain mean."""
    shape = (trees.values.shape[0], *[2] * DEPTH)  # the last axis is the first question
    unknown = tuple(DEPTH - slot for slot in range(DEPTH) if not answers >> slot & 1)
    weights, values = trees.weights.reshape(shape), trees.values.reshape(shape)
    total = weights.sum(axis=unknown, keepdims=True)
    weighted = (weights * values).sum(axis=unknown, keepdims=True) / np.where(total > 0, total, 1)
    mean = np.where(total > 0, weighted, values.mean(axis=unknown, keepdims=True))
    return np.asarray(np.broadcast_to(mean, shape).reshape(trees.values.shape))


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
