"""`python -m tests.benchmark.time_to_churn`: how well leaving is foreseen on real purchase logs, printed as Markdown.

Protocol: customers by day, the product's own features, snapshots until a cut for three quarters of the customers, later ones of the others as
the test. Two labels: the start of a silence of 90 days, as in the product; and the day on which a rule of 90 days without a purchase fires,
as in the reference figures. The files are in KEEPWELL_DATA (default ../shared/data) and are no part of the product.
"""

import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from model.activity import YOUNGEST_DAYS
from model.features import CATEGORIES, NUMERIC, FloatArray
from model.simulator import COUNTERS, Portfolio
from model.snapshot import ACTIVE, AMOUNT, PURCHASES, features_at
from model.survival.cohort import Cohort, Durations, days_until_silence, joined, part_of
from model.survival.comparison import RANKING, RECENCY
from model.survival.training import train_time_to_churn
from model.training.card_times import MODELS

SILENCE_DAYS, SEED, HELD_OUT = 90, 7, 4
CUSTOMERS_AT_ONCE = 3_000
Log = tuple[
    NDArray[np.int64], NDArray[np.int64], FloatArray
]  # customer, day and amount of each purchase, each from 0 up


class Dataset(NamedTuple):
    """A log, and which of its days are snapshots; what happens after the last training day's `cut` is not known in training."""

    name: str
    load: Callable[[Path], Log]
    train_days: range
    cut: int
    test_days: range


def cdnow(folder: Path) -> Log:
    """Return all customers of CDNOW."""
    with gzip.open(folder / "cdnow_transactions.txt.gz", "rt") as lines:
        rows = [line.split() for line in lines]
    rows = [row for row in rows if row[0].isdigit()]
    days = np.array([f"{row[1][:4]}-{row[1][4:6]}-{row[1][6:]}" for row in rows], dtype="datetime64[D]")
    return _log(np.array([row[0] for row in rows]), days, np.array([float(row[3]) for row in rows]))


def online_retail(folder: Path) -> Log:
    """Return the customers of Online Retail II, each line once, without cancellations."""
    import pandas as pd

    table = pd.read_parquet(folder / "online_retail_II.parquet")
    first = table["year"].min()
    late = table.loc[
        table["year"] == first, "InvoiceDate"
    ].max()  # the years overlap: the second counts after the first's end
    table = table[(table["year"] == first) | (table["InvoiceDate"] > late)]
    table = table[table["CustomerID"].notna() & (table["Quantity"] > 0) & (table["UnitPrice"] > 0)]
    days = table["InvoiceDate"].to_numpy().astype("datetime64[D]")
    return _log(table["CustomerID"].to_numpy(), days, (table["Quantity"] * table["UnitPrice"]).to_numpy(dtype=float))


def _log(customers: NDArray[Any], days: NDArray[np.datetime64], amounts: FloatArray) -> Log:
    _, places = np.unique(customers, return_inverse=True)
    return places, (days - days.min()).astype(np.int64), amounts


def portfolios(log: Log) -> Iterator[tuple[int, Portfolio]]:
    """Return the customers, some at a time, with the number of the first."""
    customers, days, amounts = log
    length = int(days.max()) + 1
    for first in range(0, int(customers.max()) + 1, CUSTOMERS_AT_ONCE):
        mine = (customers >= first) & (customers < first + CUSTOMERS_AT_ONCE)
        count = min(CUSTOMERS_AT_ONCE, int(customers.max()) + 1 - first)
        record = np.zeros((count, length, len(COUNTERS)))
        record[customers[mine] - first, days[mine], ACTIVE] = 1
        record[customers[mine] - first, days[mine], PURCHASES] = 1
        cells = np.ravel_multi_index((customers[mine] - first, days[mine]), (count, length))
        record[..., AMOUNT] = np.bincount(cells, amounts[mine], count * length).reshape(count, length)
        none = np.zeros(count, dtype=np.int64)
        yield first, Portfolio(record, none, none, none, none, none, none, np.zeros(count))


def cohort(portfolio: Portfolio, first: int, day: int, last_known_day: int) -> Cohort:
    """Return the customers of a snapshot; all have the same categories."""
    numbers = features_at(portfolio, day)
    chosen = np.flatnonzero((numbers[:, 0] <= SILENCE_DAYS) & (numbers[:, 3] >= YOUNGEST_DAYS))
    active = portfolio.days[chosen, : last_known_day + 1, ACTIVE] > 0
    inputs = np.concatenate([numbers[chosen], np.zeros((len(chosen), len(CATEGORIES)))], axis=1)
    return Cohort(inputs, days_until_silence(active, day, SILENCE_DAYS), chosen + first)


def cohorts(dataset: Dataset, log: Log) -> tuple[Cohort, Cohort]:
    """Return training and test customers."""
    train, test = [], []
    for first, portfolio in portfolios(log):
        last = portfolio.days.shape[1] - 1
        train += [cohort(portfolio, first, day, dataset.cut) for day in dataset.train_days]
        test += [cohort(portfolio, first, day, last) for day in dataset.test_days]
    known, later = joined(train), joined(test)
    return part_of(known, known.leads % HELD_OUT != 0), part_of(later, later.leads % HELD_OUT == 0)


def until_the_rule_fires(found: Cohort) -> Cohort:
    """Return the same customers; they leave when the silence has lasted, not when it begins."""
    days, observed, known_days = found.durations
    fires = np.where(observed & (days == 0), SILENCE_DAYS - found.inputs[:, RECENCY], days + SILENCE_DAYS)
    return found._replace(durations=Durations(fires, observed, known_days + SILENCE_DAYS))


DATASETS = (
    Dataset("Online Retail II", online_retail, range(120, 421, 30), 520, range(530, 591, 30)),
    Dataset("CDNOW", cdnow, range(90, 211, 20), 310, range(320, 381, 30)),
)


def rows(name: str, section: dict[str, Any]) -> Iterator[str]:
    """Return a table's rows for one data set and label."""
    found = section["metrics"]
    for model in MODELS:
        figures = found["models"][model]
        concordance, integrated, sixty = (
            f"{figures[key]:.3f}" if key in figures else "-" for key in ("concordance", "integrated_brier", "brier_60")
        )
        lead = "{:+.3f} [{:+.3f}, {:+.3f}]".format(*found["concordance_lead"][model]) if model in RANKING else "-"
        yield f"| {name} | {MODELS[model]} | {concordance} | {lead} | {integrated} | {sixty} |"
    served = section["no_estimate_reason"] or "served"
    band = "not measured" if found["band_coverage"] is None else f"{found['band_coverage']:.2f}"
    yield (
        f"| | {served}; {found['train_leads']:,} + {found['test_leads']:,} snapshots, {found['test_left']:.2f} left, to day "
        f"{found['measured_days']}, band {band}, median known {found['median_known']:.2f} | | | | |"
    )


def table(folder: Path) -> list[str]:
    """Return the figures of both logs with both labels as Markdown."""
    monotone = [*(feature.monotone for feature in NUMERIC), *[0] * len(CATEGORIES)]
    lines: list[str] = []
    for dataset in track(DATASETS, description="time to churn"):
        train, test = cohorts(dataset, dataset.load(folder))
        for label, view in (("silence begins", lambda found: found), ("rule fires", until_the_rule_fires)):
            with TemporaryDirectory() as output:
                section = train_time_to_churn(Path(output), view(train), view(test), monotone, SILENCE_DAYS, SEED)
            lines += rows(f"{dataset.name}, {label}", section)
    return [
        "| log, label | model | concordance | hazard's lead in it | integrated Brier | Brier at 60 days |",
        "|---|---|--:|--:|--:|--:|",
        *lines,
    ]


if __name__ == "__main__":
    print("\n".join(table(Path(os.environ.get("KEEPWELL_DATA", "../shared/data")))))
