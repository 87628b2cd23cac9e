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


class Questions(NamedTuple):
    """What trees ask about a lead, each question once, and which of them each level of each tree asks: (levels, t)."""

    features: NDArray[np.intp]
    borders: NDArray[np.float32]
    asked: NDArray[np.intp]

    def answers(self, inputs: FloatArray) -> NDArray[np.uint8]:
        """Return each tree's answers as a number, those of its first level as the lowest bit, (t, n), for leads with inputs (n, k).

        A row a question: answers of 256 leads lie beside each other, so a tree copies its rows whole, a quarter of the time of picking them.
        """
        rows = np.ascontiguousarray(inputs.T, dtype=np.float32)
        bits = (rows.take(self.features, axis=0) > self.borders[:, None]).view(np.uint8)
        answers: NDArray[np.uint8] = bits.take(self.asked[-1], axis=0)
        for asked in self.asked[-2::-1]:
            answers += answers
            answers |= bits.take(asked, axis=0)
        return answers


def questions_of(features: NDArray[np.intp], borders: NDArray[np.float32]) -> Questions:
    """Return the questions of trees with such splits, (levels, t) each."""
    splits = np.column_stack([features.ravel(), borders.ravel()])
    unique, asked = np.unique(splits, axis=0, return_inverse=True)
    return Questions(
        unique[:, 0].astype(np.intp), unique[:, 1].astype(np.float32), asked.reshape(features.shape).astype(np.intp)
    )


def asked_together(first: Questions, second: Questions) -> Questions:
    """Return the questions of two models, for one look at each lead: the first one's trees, then the second one's."""
    levels = max(len(first.asked), len(second.asked))
    features, borders = [], []
    for each in (first, second):
        never_true = ((0, levels - len(each.asked)), (0, 0))
        features.append(np.pad(each.features[each.asked], never_true))
        borders.append(np.pad(each.borders[each.asked], never_true, constant_values=np.inf))
    return questions_of(np.hstack(features), np.hstack(borders))


def starts_of(trees: int, rows: int) -> NDArray[np.unsignedinteger]:
    """Return where each tree begins in a table of so many rows a tree, (t, 1)."""
    # In the smallest type: numpy adds it to answers in a third of the time.
    return (np.arange(trees) * rows).astype(np.min_scalar_type(trees * rows))[:, None]


class Trees(NamedTuple):
    """All trees of a model, depth first: (DEPTH, t) splits, (t, LEAVES) leaves. Shallow trees repeat a split that is never true."""

    features: NDArray[np.intp]
    borders: NDArray[np.float32]
    questions: Questions
    starts: NDArray[np.unsignedinteger]
    values: FloatArray
    weights: FloatArray
    scale: float
    bias: float

    def raw(self, inputs: FloatArray) -> FloatArray:
        """Return the log-odds of many leads, shape (n,), from inputs of shape (n, k)."""
        return self.raw_of(self.questions.answers(inputs))

    def raw_of(self, answers: NDArray[np.uint8]) -> FloatArray:
        """Return the log-odds of many leads, shape (n,), from the trees' answers, (t, n)."""
        # Nothing is out of bounds here; "wrap" is the check that costs least.
        picked = self.values.ravel().take((answers + self.starts).T, mode="wrap")
        return np.asarray(np.add.reduce(picked, axis=1) * self.scale + self.bias)

    def leaves(self, inputs: FloatArray) -> NDArray[np.uint8]:
        """Return the leaf of each tree that each lead falls into, shape (n, t), from inputs of shape (n, k)."""
        return self.questions.answers(inputs).T


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
    questions, starts = questions_of(features, borders), starts_of(count, LEAVES)
    return Trees(features, borders, questions, starts, values, weights, float(data["scale"]), float(data["bias"]))
