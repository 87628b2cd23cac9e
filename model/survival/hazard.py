"""The hazard model: in each period, how likely a lead that is still there is to leave; evaluated natively, equal to CatBoost.

The period is one input of the trees, the last. Which side of its borders a period lies on is the same for every lead, so each tree becomes a
table: a row of log-odds over all periods for each answer to the questions about the lead. A lead is one row of each tree, added up. Periods
between two borders are alike for every tree, so a row holds their log-odds once.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import CATEGORIES, NUMERIC, FloatArray
from model.survival.cohort import Durations
from model.survival.curves import EDGES, PERIODS
from model.trees import Questions, Trees, questions_of, starts_of

PERIOD_INPUT = len(NUMERIC) + len(CATEGORIES)
QUESTIONS = 4  # a tree's levels: with more of them its table would not be small
ANSWERS = 1 << QUESTIONS
ROWS_AT_ONCE = 12_500  # a megabyte: more of them would be added up outside of a processor's own cache


def person_periods(inputs: FloatArray, durations: Durations) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return one row for each period that each lead is known to have entered, its number behind the inputs, and whether it left in it.

    A period counts only where it would be known of everybody in the snapshot how it ended; else those who left would count and the
    others would not. Source: Singer and Willett (1993), discrete-time survival.
    """
    last = np.searchsorted(EDGES, durations.days, side="left")
    known = np.searchsorted(EDGES, durations.known_days, side="right")
    leaves = durations.observed & (last < known)
    entered = np.where(leaves, last + 1, known)
    row = np.repeat(np.arange(len(inputs)), entered)
    period = np.arange(len(row)) - np.repeat(np.cumsum(entered) - entered, entered)
    return np.column_stack([inputs[row], period]), leaves[row] & (period == last[row])


def by_period(inputs: FloatArray) -> FloatArray:
    """Return each lead once for each period, the period's number behind its inputs: what CatBoost itself is asked."""
    return np.column_stack([np.repeat(inputs, PERIODS, axis=0), np.tile(np.arange(PERIODS), len(inputs))])


class HazardTrees(NamedTuple):
    """The questions about the lead, QUESTIONS for each tree, and log-odds for each tree and answer: (t x ANSWERS, kinds of periods)."""

    questions: Questions
    table: FloatArray
    starts: NDArray[np.unsignedinteger]
    kinds: NDArray[np.intp]  # of each period: those that no tree tells apart are of one
    bias: float

    def raw(self, inputs: FloatArray) -> FloatArray:
        """Return the log-odds of leaving in each period, shape (n, PERIODS), of leads with inputs (n, k)."""
        return self._by_kind(self.questions.answers(inputs)).take(self.kinds, axis=1)

    def stays(self, inputs: FloatArray) -> FloatArray:
        """Return the survival curves, shape (n, PERIODS): falling, in [0, 1]."""
        return self.stays_of(self.questions.answers(inputs)).T

    def stays_of(self, answers: NDArray[np.uint8]) -> FloatArray:
        """Return the survival curves with a column a lead, shape (PERIODS, n), from the trees' answers, (t, n)."""
        staying = 1 / (1 + np.exp(self._by_kind(answers)))
        return staying.T.take(self.kinds, axis=0).cumprod(axis=0)

    def _by_kind(self, answers: NDArray[np.uint8]) -> FloatArray:
        """Return the log-odds of leaving in each kind of period, shape (n, kinds).

        Trees are added in their order, so a lead's figures do not depend on who else is in the batch.
        """
        rows = answers + self.starts
        count = rows.shape[1]
        trees = max(1, ROWS_AT_ONCE // max(1, count))
        total = np.zeros((count, self.table.shape[1]))
        for first in range(0, len(rows), trees):
            added = self.table.take(rows[first : first + trees], axis=0)
            added[0] += total
            total = np.add.reduce(added)
        return total + self.bias


def hazard_trees(trees: Trees, period_input: int = PERIOD_INPUT) -> HazardTrees:
    """Return the tables of trees that were trained on `person_periods`; input `period_input`, the last one, is the period.

    Raises:
        ValueError: A tree asks more than QUESTIONS questions.

    """
    if np.isfinite(trees.borders[QUESTIONS:]).any():
        raise ValueError(f"a hazard tree may have {QUESTIONS} levels")
    features, borders = trees.features[:QUESTIONS], trees.borders[:QUESTIONS]
    about_period = features == period_input
    answers = np.arange(ANSWERS)[:, None] >> np.arange(QUESTIONS) & 1
    periods = np.arange(PERIODS, dtype=np.float32)
    count = features.shape[1]
    table = np.empty((count, ANSWERS, PERIODS))
    for tree in range(count):
        asked = (periods[:, None] > borders[:, tree]).astype(np.intp)
        known = np.where(about_period[:, tree], asked[None], answers[:, None])
        leaves = (known << np.arange(QUESTIONS)).sum(axis=2)
        table[tree] = trees.values[tree, leaves] * trees.scale
    lead_features = np.where(about_period, 0, features)
    lead_borders = np.where(about_period, np.float32(np.inf), borders)
    different, kinds = np.unique(table.reshape(count * ANSWERS, PERIODS), axis=1, return_inverse=True)
    return HazardTrees(
        questions_of(lead_features, lead_borders),
        np.ascontiguousarray(different),
        starts_of(count, ANSWERS),
        kinds,
        trees.bias,
    )
