"""A feature table: what is refused, by row and column, and how it is split."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.features import CATEGORIES, NUMERIC
from model.training.errors import TrainingDataError
from model.training.snapshots import UNTOLD
from model.training.sufficient import check
from model.training.table import from_table

ROWS = 2_000


def table(rows: int = ROWS, dates: int = 0) -> Any:
    """Return leads whose days since the last activity tell something of their outcome."""
    draw = np.random.default_rng(3)
    recency = draw.integers(0, 60, rows).astype(float)
    columns: dict[str, Any] = {feature.name: [""] * rows for feature in (*NUMERIC, *CATEGORIES)}
    columns["days_since_last_activity"] = recency
    columns["source"] = draw.choice(["portal", "fair"], rows)
    columns["label"] = (draw.random(rows) < recency / 90).astype(int)
    if dates:
        columns["as_of"] = [f"2026-{1 + place % dates:02}-01" for place in range(rows)]
    return pd.DataFrame(columns).astype(str)


def test_a_table_with_dates_is_split_by_time() -> None:
    data = from_table(table(dates=8), 28, 7, {})
    assert data.described["split"] == "by time"
    assert len(data.snapshots) == 8
    assert [day - data.tests[0] for day in data.tests] == [
        0,
        30,
        61,
    ]  # June, July and August: 28 days do not reach further
    check(data)


def test_many_dates_are_put_together_to_periods_whose_outcomes_are_known_in_time() -> None:
    rows = table()
    rows["as_of"] = (
        pd.date_range("2026-01-01", periods=300, freq="D").strftime("%Y-%m-%d").to_numpy()[np.arange(ROWS) % 300]
    )
    data = from_table(rows, 30, 7, {})
    assert (len(data.snapshots), data.gap_days) == (10, 59)


@pytest.mark.parametrize("dates", [0, 8])
def test_a_table_without_rows_is_refused(dates: int) -> None:
    with pytest.raises(TrainingDataError, match="the table has no rows"):
        from_table(table(dates=dates).head(0), 30, 7, {})


def test_a_table_without_dates_is_dealt_by_lead() -> None:
    rows = table()
    rows["lead_id"] = [f"lead{place % 700}" for place in range(ROWS)]
    data = from_table(rows, 30, 7, {})
    assert data.described["split"] == "at random"
    parts = [set(part.leads.tolist()) for part in data.snapshots.values()]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 700
    assert len(data.tests) == 2


@pytest.mark.parametrize(
    ("column", "value", "fault"),
    [
        ("active_days_7", "often", "row 3, active_days_7: 'often' is not a number"),
        ("active_days_7", "8", "row 3, active_days_7: 8 must be in [0, 7] d"),
        ("active_days_7", "inf", "row 3, active_days_7: inf must be in [0, 7] d"),
        ("source", "x" * 65, "row 3, source: must be 1 to 64 printable characters"),
        ("label", "perhaps", "row 3, label: 'perhaps' must be one of 0, 1, false, true, no, yes"),
        ("label", "", "row 3, label: '' must be one of"),
        ("as_of", "soon", "row 3, as_of: 'soon' is not a date"),
        ("lead_id", "", "row 3, lead_id: must be set"),
        ("lead_id", None, "row 3, lead_id: must be set"),
    ],
)
def test_a_bad_cell_is_named_by_row_and_column(column: str, value: str, fault: str) -> None:
    rows = table(dates=8).assign(lead_id=[f"lead{place}" for place in range(ROWS)])
    rows.loc[2, column] = value
    with pytest.raises(TrainingDataError) as error:
        from_table(rows, 28, 7, {})
    assert str(error.value).splitlines()[0] == "1 cells cannot be used"
    assert fault in str(error.value)


def test_missing_columns_are_named() -> None:
    with pytest.raises(TrainingDataError, match="no column tenure_days, label"):
        from_table(table().drop(columns=["tenure_days", "label"]), 30, 7, {})


def test_dates_that_lie_too_close_are_too_few() -> None:
    with pytest.raises(TrainingDataError, match=r"as_of: 3 dates; a horizon of 28 days needs at least four"):
        from_table(table(dates=3), 28, 7, {})


def test_one_class_only_is_refused() -> None:
    rows = table(dates=8)
    rows["label"] = "0"
    with pytest.raises(TrainingDataError, match="0 churned and 750 stayed; at least 10 of each are needed"):
        check(from_table(rows, 28, 7, {}))


def test_outcomes_that_were_not_known_on_the_test_day_are_nothing_to_learn_from() -> None:
    data = from_table(table(dates=8), 28, 7, {})
    late = {day: part._replace(told=np.where(part.churned, day + 200, UNTOLD)) for day, part in data.snapshots.items()}
    with pytest.raises(TrainingDataError, match="the rows to train on: 0 churned and 750 stayed"):
        check(data._replace(snapshots=late))
    late = {day: part._replace(told=np.where(part.churned, day + 61, UNTOLD)) for day, part in data.snapshots.items()}
    with pytest.raises(TrainingDataError, match=r"as it was known on day \d+: 0 churned and 250 stayed"):
        check(data._replace(snapshots=late))


@pytest.mark.parametrize(("rows", "enough"), [(1_330, True), (1_329, False)])
def test_fewer_than_five_hundred_rows_to_train_on_are_refused(rows: int, enough: bool) -> None:
    data = from_table(table(rows, dates=8).iloc[:rows], 28, 7, {})
    if enough:
        check(data)
        return
    with pytest.raises(TrainingDataError, match="499 rows to train on, and at least 500 are needed"):
        check(data)


def test_a_column_that_was_written_after_the_outcome_is_caught() -> None:
    rows = table(dates=8)
    rows["email_opens_30"] = [4 if label == "1" else 2 for label in rows["label"]]
    with pytest.raises(TrainingDataError, match=r"email_opens_30 alone tells the outcome \(AUC 1\.000\)"):
        check(from_table(rows, 28, 7, {}))


def test_a_column_that_is_empty_for_those_who_left_is_caught() -> None:
    rows = table(dates=8)
    rows["email_opens_30"] = ["" if label == "1" else "2" for label in rows["label"]]
    with pytest.raises(TrainingDataError, match="email_opens_30 alone tells the outcome"):
        check(from_table(rows, 28, 7, {}))


def test_a_column_that_tells_much_and_not_all_is_kept() -> None:
    rows = table(dates=8)
    wrong = np.random.default_rng(5).random(ROWS) < 0.05
    rows["email_opens_30"] = [
        4 if (label == "1") != flip else 2 for label, flip in zip(rows["label"], wrong, strict=True)
    ]
    check(from_table(rows, 28, 7, {}))
