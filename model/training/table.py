"""A feature table: one row a lead and date with the schema's features and what became of it, as snapshots.

With `as_of` the split is by time. Without it leads are dealt at random into parts that play snapshots: such figures say nothing about later
months, and the card says so.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.activity import DAY_MS
from model.features import CATEGORIES, LONGEST_CATEGORY, NUMERIC, FloatArray
from model.training.dataset import Dataset, date_of
from model.training.errors import TrainingDataError
from model.training.history import Ints
from model.training.snapshots import LONGEST_STEP_DAYS, Snapshot
from model.training.split import judged_origin, usable_test_days

LABELS = {"0": False, "1": True, "false": False, "true": True, "no": False, "yes": True}
PARTS, TEST_PARTS = 10, 2
MOST_DATES = 40  # with more of them, dates are put together to periods
SHOWN_FAULTS = 10
REQUIRED = (*(feature.name for feature in NUMERIC), *(feature.name for feature in CATEGORIES), "label")


def from_table(table: Any, horizon_days: int, seed: int, described: dict[str, Any]) -> Dataset:
    """Return a feature table's snapshots. An empty cell is unknown; `lead_id` groups a lead's rows, else each row is a lead.

    Args:
        table: A pandas data frame with the columns of the schema, `label` (0/1, true/false, yes/no; 1 is churned), perhaps `lead_id`
            and `as_of` (the day that the features are of).
        horizon_days: What the labels mean, and how long after `as_of` they are known.
        seed: Deals the parts when there is no `as_of`.
        described: For the manifest.

    Raises:
        TrainingDataError: Columns are missing, cells are not what the schema allows (the first ten are named), or the dates are too few.

    """
    missing = [name for name in REQUIRED if name not in table.columns]
    if missing:
        raise TrainingDataError(f"no column {', '.join(missing)} (a column may be empty, where it is unknown)")
    if not len(table):
        raise TrainingDataError("the table has no rows")
    faults: list[str] = []
    numeric = np.stack([_numbers(table, feature.name, faults) for feature in NUMERIC], axis=1)
    _check_ranges(numeric, faults)
    texts = [_texts(table, feature.name, faults) for feature in CATEGORIES]
    churned = _labels(table["label"], faults)
    leads = _leads(table["lead_id"], faults) if "lead_id" in table else np.arange(len(table))
    day = _days(table["as_of"], faults) if "as_of" in table else None
    if faults:
        raise TrainingDataError("\n".join([f"{len(faults)} cells cannot be used", *faults[:SHOWN_FAULTS]]))
    nothing = np.zeros(len(leads), dtype=np.int64)
    rows = Snapshot(numeric, list(zip(*texts, strict=True)), churned, leads, nothing, nothing, numeric)
    described = {**described, "split": "by time" if day is not None else "at random"}
    return _dealt(rows, horizon_days, seed, described) if day is None else _dated(rows, day, horizon_days, described)


def _dated(rows: Snapshot, day: Ints, horizon_days: int, described: dict[str, Any]) -> Dataset:
    gap = horizon_days
    if len(np.unique(day)) > MOST_DATES:
        step = min(horizon_days, LONGEST_STEP_DAYS)
        # A period is told by its last day, so what it predicts is known a period later for the newest and none too early for all.
        day = day.max() - (day.max() - day) // step * step
        gap += step - 1
    snapshots = _by_day(rows, day)
    tests = usable_test_days(list(snapshots), gap)
    if not tests:
        raise TrainingDataError(
            f"as_of: {len(snapshots)} dates; a horizon of {horizon_days} days needs at least four that lie {gap} days apart"
        )
    return Dataset(snapshots, horizon_days, gap, tests, max(snapshots) + gap, {**described, "first_date": date_of(0)})


def _dealt(rows: Snapshot, horizon_days: int, seed: int, described: dict[str, Any]) -> Dataset:
    part_of_lead = np.random.default_rng(seed).permutation(rows.leads.max() + 1) % PARTS
    snapshots = _by_day(rows, part_of_lead[rows.leads])
    tests = list(snapshots)[-TEST_PARTS:]
    if judged_origin(list(snapshots), 1, tests[0]) is None:
        raise TrainingDataError(f"{len(rows.churned)} rows are too few")
    return Dataset(snapshots, horizon_days, 1, tests, max(snapshots) + 1, described)


def _by_day(rows: Snapshot, day: Ints) -> dict[int, Snapshot]:
    found = {}
    for each in np.unique(day).tolist():
        chosen = np.flatnonzero(day == each)
        categories = [rows.categories[row] for row in chosen]
        numeric = rows.numeric[chosen]
        days = np.full(len(chosen), each)
        found[each] = Snapshot(
            numeric, categories, rows.churned[chosen], rows.leads[chosen], days, rows.told[chosen], numeric
        )
    return found


def _numbers(table: Any, name: str, faults: list[str]) -> FloatArray:
    import pandas as pd

    column = table[name].replace("", None)
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    for row in np.flatnonzero(np.isnan(values) & column.notna().to_numpy()):
        faults.append(f"row {row + 1}, {name}: {column.iloc[row]!r} is not a number")
    return np.asarray(values)


def _check_ranges(numeric: FloatArray, faults: list[str]) -> None:
    for place, feature in enumerate(NUMERIC):
        values = numeric[:, place]
        for row in np.flatnonzero((values < feature.lowest) | (values > feature.highest)):
            allowed = f"[{feature.lowest:g}, {feature.highest:g}] {feature.unit}"
            faults.append(f"row {row + 1}, {feature.name}: {values[row]:g} must be in {allowed}")


def _texts(table: Any, name: str, faults: list[str]) -> list[str]:
    values = ["" if value is None or value != value else str(value) for value in table[name]]  # noqa: PLR0124 (NaN)
    for row, value in enumerate(values, 1):
        if value and (len(value) > LONGEST_CATEGORY or not value.isprintable()):
            faults.append(f"row {row}, {name}: must be 1 to {LONGEST_CATEGORY} printable characters")
    return values


def _leads(column: Any, faults: list[str]) -> Ints:
    for row in np.flatnonzero(column.isna() | (column == "")):
        faults.append(f"row {row + 1}, lead_id: must be set")
    return np.unique([str(value) for value in column], return_inverse=True)[1]


def _labels(column: Any, faults: list[str]) -> NDArray[np.bool_]:
    found = np.zeros(len(column), dtype=bool)
    for row, value in enumerate(column):
        text = str(value).strip().lower().removesuffix(".0")
        if text in LABELS:
            found[row] = LABELS[text]
        else:
            faults.append(f"row {row + 1}, label: {value!r} must be one of {', '.join(LABELS)}")
    return found


def _days(column: Any, faults: list[str]) -> Ints:
    import pandas as pd

    times = pd.to_datetime(column, utc=True, errors="coerce", format="mixed")
    for row in np.flatnonzero(times.isna()):
        faults.append(f"row {row + 1}, as_of: {column.iloc[row]!r} is not a date")
    epoch = times.fillna(pd.Timestamp(0, tz="UTC"))
    return np.asarray(epoch.dt.as_unit("ms").astype("int64") // DAY_MS)
