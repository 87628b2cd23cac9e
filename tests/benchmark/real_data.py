"""`python -m tests.benchmark.real_data`: how good probabilities and times are on real churn tables and event logs, printed as Markdown.

With `--write` the shipped model's card keeps what was measured (model/training/real_data.md). Event logs go through the training of
`keepwell train --events` (real_logs.py), and through that of the time to churn (time_to_churn.py); tables without dates through CatBoost alone
(real_tables.py). The files are in KEEPWELL_DATA (default ../shared/data) and are no part of the product.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from rich.progress import Progress

from model.scorer import read_manifest
from model.training.card import REAL_DATA, card
from server.models import SHIPPED
from tests.benchmark import real_logs, real_tables, time_to_churn


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
        "Tables without dates, CatBoost alone (depth 5, log loss, no class weights, early stopping inside each training part): stratified "
        "five-fold. AUC is the mean of five draws of the folds, in brackets the lowest and the highest; all else is of the first draw. "
        "The reference is of one draw of its own. X Education is without the columns that people fill in after the outcome.",
        "\n".join(real_tables.rows(folder)),
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
