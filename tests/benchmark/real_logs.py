"""How good a model of a real event log is: the very code that `keepwell train --events` runs, on CDNOW and Online Retail II.

Protocol as in the reference figures: leads active within the last 180 (CDNOW) and 90 days (Online Retail); each test day is scored by the model
that would have been made on it. Reference figures are means over the test days, ours are over all rows, with the means beside them. The
calibration error here is over ten equally filled bins, the reference's over fifteen of equal width.
"""

import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from model.training.card import measured
from model.training.fit import Settings
from model.training.train import train
from server.cli.event_table import Columns
from server.cli.training_data import LogOptions, dataset_of_log

SEED = 7
COLUMNS = Columns("lead_id", "occur_time", "type", "value", "")


class Reference(NamedTuple):
    """What was measured before, on the same protocol."""

    auc: float
    brier: float
    calibration_error: float
    precision: float
    recall: float


class Log(NamedTuple):
    """A log: how its file becomes one of events, and what is asked of it."""

    name: str
    write: Callable[[Path, Path], None]
    horizon_days: int
    silence_days: int
    reference: Reference


def write_cdnow(folder: Path, file: Path) -> None:
    """Write CDNOW's purchases as events."""
    with gzip.open(folder / "cdnow_transactions.txt.gz", "rt") as lines, file.open("w") as out:
        out.write("lead_id,occur_time,type,value\n")
        for line in lines:
            customer, date, _, amount = line.split()
            if customer.isdigit():
                out.write(f"{customer},{date[:4]}-{date[4:6]}-{date[6:]},purchase,{amount}\n")


def write_online_retail(folder: Path, file: Path) -> None:
    """Write Online Retail II as purchases and refunds, one a customer and day.

    Its second year begins with days that the first one has, too; those are taken once.
    """
    import pandas as pd

    lines = pd.read_parquet(folder / "online_retail_II.parquet").dropna(subset=["CustomerID"])
    end = lines.InvoiceDate[lines.year == "2009-2010"].max()
    lines = lines[(lines.year == "2009-2010") | (lines.InvoiceDate > end)]
    amount = lines.Quantity * lines.UnitPrice
    keys = [lines.CustomerID.astype(int), lines.InvoiceDate.dt.floor("D"), amount > 0]
    days = amount[amount != 0].groupby(keys).sum().abs().round(2).reset_index(name="value")
    days.columns = ["lead_id", "occur_time", "bought", "value"]
    days["type"] = days.bought.map({True: "purchase", False: "refund"})
    days.drop(columns="bought").to_csv(file, index=False)


LOGS = (
    Log("CDNOW", write_cdnow, 90, 180, Reference(0.724, 0.199, 0.024, 0.84, 0.18)),
    Log("Online Retail II", write_online_retail, 30, 90, Reference(0.748, 0.193, 0.048, 0.83, 0.39)),
)


def measure(folder: Path, log: Log, progress: Callable[[str, float], None]) -> dict[str, Any]:
    """Return the manifest of a model trained on a log."""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "events.csv"
        log.write(folder, file)
        data = dataset_of_log(file, LogOptions(COLUMNS), log.horizon_days, log.silence_days, progress)
        return train(Path(work) / "model", data, Settings(SEED), progress)


def rows(log: Log, manifest: dict[str, Any]) -> list[str]:
    """Return a log's figures as rows: the reference, the model, the baselines."""
    metrics = manifest["metrics"]
    reference = log.reference
    found = [
        f"| {log.name}, {log.horizon_days} d | reference | | | {reference.auc:.3f} | {reference.brier:.4f} "
        f"| {reference.calibration_error:.3f} | {reference.precision:.2f} | {reference.recall:.2f} |"
    ]
    days = metrics["test"]["by_day"]
    auc, brier, calibration_error = (
        sum(day[name] for day in days) / len(days) for name in ("auc", "brier", "calibration_error")
    )
    over = "the one test day" if len(days) == 1 else f"mean of {len(days)} test days"
    found.append(f"| | the model, {over} | | | {auc:.3f} | {brier:.4f} | {calibration_error:.3f} | | |")
    for name, part in measured(manifest).items():
        found.append(f"| | {name} | {part['leads']:,} | {part['base_rate']:.3f} | {_cells(part)} |")
    return found


def _cells(part: dict[str, Any]) -> str:
    above = part["above_0.8"]
    low, high = above["precision_95"]
    from_, to = above["recall_95"]
    precision = "none above" if above["precision"] is None else f"{above['precision']:.3f} [{low:.2f}, {high:.2f}]"
    figures = [
        f"{part[name]:.{digits}f} [{part[f'{name}_95'][0]:.{digits}f}, {part[f'{name}_95'][1]:.{digits}f}]"
        for name, digits in (("auc", 3), ("brier", 4), ("calibration_error", 3))
    ]
    return " | ".join([*figures, precision, f"{above['recall']:.3f} [{from_:.2f}, {to:.2f}]"])
