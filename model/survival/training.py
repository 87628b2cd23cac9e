"""Trains the time to churn: fits the hazard model, compares it with simpler ones, and writes its part of an artifact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.export import export
from model.features import FloatArray
from model.survival.cohort import Cohort
from model.survival.comparison import compare, why_no_estimate
from model.survival.curves import HORIZON_DAYS, PERIOD_DAYS, PERIODS
from model.survival.estimate import HAZARD_FILES
from model.survival.hazard import QUESTIONS, by_period, hazard_trees, person_periods

TREES, LEARNING_RATE = 100, 0.06  # as accurate as 300 trees of depth 6, and a lead costs a third
SMOKE_LEADS = 8


def train_time_to_churn(
    output: Path, train: Cohort, test: Cohort, monotone: Sequence[int], silence_days: int, seed: int
) -> dict[str, Any]:
    """Write `hazard.cbm` and `hazard.json` into a folder, and return the artifact's section `time_to_churn`.

    Where the model is no better than simpler ones on the test leads, the section says so and no file is left.

    Args:
        output: Folder of the artifact; it exists.
        train: Leads as they were known by the cut, inputs (n, k) as the scorer encodes them.
        test: Other leads, at later snapshots.
        monotone: For each input, +1, -1 or 0: which way the hazard may go.
        silence_days: How many silent days count as having left, in the cohorts' labels.
        seed: Of CatBoost, and of the intervals' draws.

    """
    rows, left = person_periods(train.inputs, train.durations)
    model = _fit(rows, left, monotone, seed)
    trees = hazard_trees(export(model, *(output / name for name in HAZARD_FILES)))
    figures = compare(train, test, trees.stays(test.inputs), seed)
    reason = why_no_estimate(figures)
    if reason:
        for name in HAZARD_FILES:
            (output / name).unlink()
    return {
        "silence_days": silence_days,
        "period_days": PERIOD_DAYS,
        "horizon_days": HORIZON_DAYS,
        "no_estimate_reason": reason,
        "metrics": figures,
        "smoke": None if reason else _smoke(model, test.inputs),
    }


def without_estimate(reason: str) -> dict[str, Any]:
    """Return the section `time_to_churn` of an artifact that has no such model, and why."""
    return {"no_estimate_reason": reason, "metrics": None, "smoke": None}


def _fit(rows: FloatArray, left: NDArray[np.bool_], monotone: Sequence[int], seed: int) -> Any:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(
        iterations=TREES,
        depth=QUESTIONS,
        learning_rate=LEARNING_RATE,
        loss_function="Logloss",
        monotone_constraints=[*monotone, 0],
        random_seed=seed,
        thread_count=1,  # more threads add in another order, and the bytes would differ
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(rows, left.astype(int))
    return model


def _smoke(model: Any, inputs: FloatArray) -> dict[str, Any]:
    """Return leads, some with unknowns, and the log-odds in every period that each load must reproduce."""
    chosen = inputs[:: max(len(inputs) // SMOKE_LEADS, 1)][:SMOKE_LEADS].copy()
    chosen[::4, ::3] = np.nan
    rows = by_period(chosen)
    raw = np.asarray(model.predict(rows, prediction_type="RawFormulaVal")).reshape(len(chosen), PERIODS)
    leads = [[None if np.isnan(x) else float(x) for x in row] for row in chosen]
    return {"inputs": leads, "raw": raw.tolist()}
