"""Fitting the trees: CatBoost with log loss, no class weights and no resampling, since both spoil the calibration."""

from typing import Any, NamedTuple

import numpy as np

from model.features import CATEGORIES, NUMERIC, FloatArray
from model.training.encoding import Encoding, encoding_of
from model.training.snapshots import Snapshot

MOST_TREES, FEWEST_TREES = 300, 20  # the cost of a score grows with them: about 10 us at 300
DEPTH, LEARNING_RATE = (
    4,
    0.06,
)  # as good as deeper ones on real logs and half the work; model/trees.py evaluates at most six levels
PATIENCE_TREES = 40
BORDERS = 64  # a third less work than with 254, and no worse


class Settings(NamedTuple):
    """What a data scientist may choose."""

    seed: int
    monotone: bool = True


class Fitted(NamedTuple):
    """Trees, and the encoding that they were trained with."""

    model: Any
    encoding: Encoding

    def inputs(self, part: Snapshot) -> FloatArray:
        """Return what the trees see of leads."""
        return self.encoding.inputs(part.numeric, part.categories)

    def raw(self, part: Snapshot) -> FloatArray:
        """Return leads' log-odds."""
        return np.asarray(self.model.predict(self.inputs(part), prediction_type="RawFormulaVal"))


def fit(part: Snapshot, settings: Settings, trees: int) -> Fitted:
    """Return that many trees, trained on these leads."""
    encoding = encoding_of(part)
    model = _classifier(settings, trees)
    model.fit(encoding.inputs(part.numeric, part.categories), part.churned.astype(int))
    return Fitted(model, encoding)


def fit_until_worse(part: Snapshot, later: Snapshot, settings: Settings) -> Fitted:
    """Return as many trees as lower the log loss on later leads, within MOST_TREES and FEWEST_TREES."""
    encoding = encoding_of(part)
    model = _classifier(settings, MOST_TREES)
    model.fit(
        encoding.inputs(part.numeric, part.categories),
        part.churned.astype(int),
        eval_set=(encoding.inputs(later.numeric, later.categories), later.churned.astype(int)),
        early_stopping_rounds=PATIENCE_TREES,
        use_best_model=False,
    )
    model.shrink(min(max(model.get_best_iteration() + 1, FEWEST_TREES), model.tree_count_))
    return Fitted(model, encoding)


def signs(settings: Settings) -> list[int]:
    """Return for each input which way risk may go: +1, -1, or 0 for either."""
    return [*(feature.monotone if settings.monotone else 0 for feature in NUMERIC), *[0] * len(CATEGORIES)]


def _classifier(settings: Settings, trees: int) -> Any:
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        iterations=trees,
        depth=DEPTH,
        learning_rate=LEARNING_RATE,
        border_count=BORDERS,
        loss_function="Logloss",
        monotone_constraints=signs(settings) if settings.monotone else None,
        random_seed=settings.seed,
        thread_count=1,  # more threads add in another order, and the bytes would differ
        allow_writing_files=False,
        verbose=False,
    )
