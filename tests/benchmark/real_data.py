"""`python -m tests.benchmark.real_data`: how good probabilities and times are on real churn tables and event logs, printed as Markdown.

With `--write` the shipped model's card keeps what was measured (model/training/real_data.md). Event logs go through the training of
`keepwell train --events` (real_logs.py), and through that of the time to churn (time_to_churn.py). Tables have no dates and columns of their
own, so CatBoost alone is measured on them: stratified five-fold, every row scored by the model that did not see it, figures over all of them;
300 trees of depth 5, log loss, no class weights. The files are in KEEPWELL_DATA (default ../shared/data) and are no part of the product.
Columns that name a row, or that sales people fill in after the outcome, are left out: with the latter the leads' AUC would be .985, and void.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress, track

from model.features import FloatArray
from model.metrics import report
from model.scorer import read_manifest
from model.training.card import REAL_DATA, card
from server.models import SHIPPED
from tests.benchmark import real_logs, time_to_churn

FOLDS, SEED = 5, 7
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


def out_of_fold(columns: Any, churned: NDArray[np.bool_]) -> FloatArray:
    """Return each row's probability from the model that did not see it."""
    import pandas as pd
    from catboost import CatBoostClassifier

    texts = [name for name in columns.columns if not pd.api.types.is_numeric_dtype(columns[name])]
    scores = np.empty(len(churned))
    for fold in folds(churned):
        model = CatBoostClassifier(
            iterations=300,
            depth=5,
            learning_rate=0.05,
            loss_function="Logloss",
            max_ctr_complexity=1,
            one_hot_max_size=12,
            random_seed=SEED,
            thread_count=2,
            allow_writing_files=False,
            verbose=False,
            cat_features=texts,
        )
        model.fit(columns[~fold], churned[~fold])
        scores[fold] = model.predict_proba(columns[fold])[:, 1]
    return scores


def folds(churned: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return one mask a fold, with the same share of churned rows in each."""
    number = np.empty(len(churned), dtype=np.int64)
    draw = np.random.default_rng(SEED)
    for value in (True, False):
        rows = draw.permutation(np.flatnonzero(churned == value))
        number[rows] = np.arange(len(rows)) % FOLDS
    return [number == fold for fold in range(FOLDS)]


def row(dataset: Dataset, found: dict[str, Any]) -> str:
    """Return a table's figures as a row."""
    above = found["above_0.8"]
    low, high = above["precision_95"]
    return (
        f"| {dataset.name} | {found['leads']:,} | {found['base_rate']:.3f} | {found['auc']:.3f} | {dataset.reference_auc:.3f} "
        f"| {found['brier']:.4f} | {found['calibration_error']:.3f} | {above['leads']:,} "
        f"| {above['precision']:.3f} [{low:.2f}, {high:.2f}] | {above['recall']:.3f} |"
    )


def tables(folder: Path) -> list[str]:
    """Return the figures of every table as Markdown."""
    found = []
    for dataset in track(DATASETS, description="five-fold"):
        columns, churned = load(folder, dataset)
        found.append(row(dataset, report(out_of_fold(columns, churned), churned)))
    return [
        "| table | rows | churned | AUC | reference | Brier | calibration error | above 0.8 | precision there | recall there |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *found,
    ]


def logs(folder: Path) -> list[str]:
    """Return the figures of every event log as Markdown."""
    found = []
    with Progress() as progress:
        bar = progress.add_task("", total=1.0)
        for log in real_logs.LOGS:
            manifest = real_logs.measure(
                folder, log, lambda what, share: progress.update(bar, description=what, completed=share)
            )
            found += real_logs.rows(log, manifest)
            print(f"  {log.name}: {manifest['recipe']}", file=sys.stderr)
    return [
        "| log | | rows | silent | AUC | Brier | calibration error | precision above 0.8 | recall there |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
        *found,
    ]


def measured(folder: Path) -> str:
    """Return the card's section: what was measured, how, and beside what."""
    day = subprocess.run(
        ["git", "show", "-s", "--format=%cs"], check=True, capture_output=True, text=True
    ).stdout.strip()
    parts = [
        "**On real data.** What this training gave on real customers, measured by `python -m tests.benchmark.real_data` on "
        f"{day}. The data are no part of the product, and this artifact has seen none of them. In brackets 95 % "
        "intervals, over whole customers where they repeat. The reference is an earlier study of ours on the same protocol.",
        "Event logs, by `keepwell train --events`. Each test day is scored by the model that would have been made on it; the "
        "reference is a mean over test days.",
        "\n".join(logs(folder)),
        "Tables without dates, CatBoost alone: stratified five-fold, 300 trees of depth 5, log loss, no class weights. X Education "
        "is without the columns that people fill in after the outcome.",
        "\n".join(tables(folder)),
        "When a lead leaves: later snapshots of customers that no model has seen. Leaving is the first of 90 days without a "
        "purchase (silence begins), or the day on which they are over (rule fires).",
        "\n".join(time_to_churn.table(folder)),
    ]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure every log and table, print the figures, and perhaps keep them."""
    parser = argparse.ArgumentParser(description="Measure the training on real data.")
    parser.add_argument("--write", action="store_true", help="keep the figures in the shipped model's card")
    keep = parser.parse_args().write
    text = measured(Path(os.environ.get("KEEPWELL_DATA", "../shared/data")))
    print(text)
    if keep:
        REAL_DATA.write_text(text)
        (SHIPPED / "CARD.md").write_text(card(read_manifest(SHIPPED)))


if __name__ == "__main__":
    main()
