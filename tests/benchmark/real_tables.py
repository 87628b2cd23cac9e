"""Churn tables without dates: how good CatBoost's probabilities are on rows that it did not see.

Columns that name a row, or that sales people fill in after the outcome, are left out: with the latter the leads' AUC would be .985, and void.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from model.features import FloatArray
from model.metrics import report

FOLDS, DRAWS, SEED = 5, 5, 7
MOST_TREES, PATIENCE_TREES = 1_500, 50
HELD_BACK = 0.2  # of a training part, to find its number of trees
LEAKY = ["Tags", "Lead Quality", "Lead Profile", "Last Notable Activity"]
LEAKY += [f"Asymmetrique {what} {how}" for what in ("Activity", "Profile") for how in ("Index", "Score")]


class Dataset(NamedTuple):
    """A table: its file, its label's column and the value that means churned, and what is left out."""

    name: str
    file: str
    label: str
    churned: str
    left_out: list[str]
    reference_auc: float


DATASETS = (
    Dataset("Telco", "telco_churn.csv.gz", "churn", "Yes", [], 0.846),
    Dataset("bank", "bank_churn.csv.gz", "exited", "1", ["rowNumber", "customerId", "surname"], 0.871),
    Dataset("MLC telecom", "mlc_churn.csv.gz", "", "", [], 0.926),
    Dataset("Iranian telecom", "iranian_churn.csv.gz", "Churn", "1", [], 0.985),
    Dataset(
        "X Education, lost",
        "xeducation_leads.csv.gz",
        "Converted",
        "0",
        ["Prospect ID", "Lead Number", *LEAKY],
        0.907,
    ),
)


def load(folder: Path, dataset: Dataset) -> tuple[Any, NDArray[np.bool_]]:
    """Return a table's columns, texts as texts, and who churned."""
    import pandas as pd

    table = pd.read_csv(folder / dataset.file)
    label = dataset.label or table.columns[-1]
    churned = dataset.churned or "yes"
    outcome = table[label].astype(str).str.strip().str.lower() == churned.lower()
    columns = table.drop(columns=[label, *dataset.left_out])
    for name in columns.columns:
        if not pd.api.types.is_numeric_dtype(columns[name]):
            columns[name] = columns[name].astype(object).where(columns[name].notna(), "unknown").astype(str)
    return columns, outcome.to_numpy(dtype=bool)


def out_of_fold(columns: Any, churned: NDArray[np.bool_], draw: int) -> FloatArray:
    """Return each row's probability from the model that did not see it."""
    scores = np.empty(len(churned))
    for number, fold in enumerate(folds(churned, SEED + draw)):
        model = _fitted(columns[~fold], churned[~fold], SEED + number)
        scores[fold] = model.predict_proba(columns[fold])[:, 1]
    return scores


def _fitted(columns: Any, churned: NDArray[np.bool_], seed: int) -> Any:
    """Return a model of all rows, with as many trees as served best a part that was held back (more rows carry more of them)."""
    held_back = np.random.default_rng(seed).random(len(churned)) < HELD_BACK
    stopped = _model(columns, MOST_TREES)
    eval_set = (columns[held_back], churned[held_back])
    stopped.fit(columns[~held_back], churned[~held_back], eval_set=eval_set, early_stopping_rounds=PATIENCE_TREES)
    return _model(columns, int((stopped.get_best_iteration() + 1) / (1 - HELD_BACK))).fit(columns, churned)


def _model(columns: Any, trees: int) -> Any:
    import pandas as pd
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        iterations=trees,
        depth=5,
        learning_rate=0.05,
        loss_function="Logloss",
        random_seed=SEED,
        thread_count=2,
        allow_writing_files=False,
        verbose=False,
        cat_features=[name for name in columns.columns if not pd.api.types.is_numeric_dtype(columns[name])],
    )


def folds(churned: NDArray[np.bool_], seed: int) -> list[NDArray[np.bool_]]:
    """Return one mask a fold, with the same share of churned rows in each."""
    number = np.empty(len(churned), dtype=np.int64)
    draw = np.random.default_rng(seed)
    for value in (True, False):
        rows = draw.permutation(np.flatnonzero(churned == value))
        number[rows] = np.arange(len(rows)) % FOLDS
    return [number == fold for fold in range(FOLDS)]


def row(dataset: Dataset, draws: list[dict[str, Any]]) -> str:
    """Return a table's figures as a row."""
    found, aucs = draws[0], [each["auc"] for each in draws]
    above = found["above_0.8"]
    low, high = above["precision_95"]
    return (
        f"| {dataset.name} | {found['leads']:,} | {found['base_rate']:.3f} "
        f"| {np.mean(aucs):.3f} [{min(aucs):.3f}, {max(aucs):.3f}] | {dataset.reference_auc:.3f} "
        f"| {found['brier']:.4f} | {found['calibration_error']:.3f} | {above['leads']:,} "
        f"| {above['precision']:.3f} [{low:.2f}, {high:.2f}] | {above['recall']:.3f} |"
    )


def rows(folder: Path) -> list[str]:
    """Return the figures of every table as Markdown."""
    found = []
    for dataset in track(DATASETS, description="five-fold"):
        columns, churned = load(folder, dataset)
        draws = [report(out_of_fold(columns, churned, draw), churned) for draw in range(DRAWS)]
        found.append(row(dataset, draws))
    return [
        "| table | rows | churned | AUC | reference | Brier | calibration error | above 0.8 | precision there | recall there |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *found,
    ]
