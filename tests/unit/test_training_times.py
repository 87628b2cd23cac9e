from pathlib import Path

import numpy as np
import pytest

from model.simulator import simulate
from model.training.dataset import Dataset, from_history
from model.training.fit import Fitted, Settings, fit
from model.training.history import History, Left, simulated
from model.training.times import _durations, _split, time_to_churn

LENGTH = 467  # the shortest that tells of 240 days after silences of 38


@pytest.fixture(scope="module")
def history() -> History:
    return simulated(simulate(1_500, LENGTH, 3))


@pytest.fixture(scope="module")
def data(history: History) -> Dataset:
    return from_history(history, 30, 38, {}, lambda _what, _share: None)


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> Fitted:
    return fit(next(iter(data.snapshots.values())), Settings(7), 20)


def test_a_table_says_nothing_about_when(tmp_path: Path, data: Dataset, fitted: Fitted) -> None:
    section = time_to_churn(tmp_path, data._replace(lives=(), silence_days=None), fitted, Settings(7))
    assert section["no_estimate_reason"] == "a table of features does not say when leads left"
    assert list(tmp_path.iterdir()) == []


def test_a_log_in_which_nobody_could_be_watched_for_the_whole_horizon_says_so(
    tmp_path: Path, data: Dataset, fitted: Fitted
) -> None:
    section = time_to_churn(tmp_path, data._replace(silence_days=39), fitted, Settings(7))
    assert section["no_estimate_reason"] == "the log is 467 days long, and to foresee 240 days it needs 469"
    assert list(tmp_path.iterdir()) == []


def test_the_shortest_log_that_tells_enough_is_learned_from(tmp_path: Path, data: Dataset, fitted: Fitted) -> None:
    section = time_to_churn(tmp_path, data, fitted, Settings(7))
    assert section["metrics"]["measured_days"] == 60
    assert set(section["metrics"]["models"]) == {"hazard", "cox", "recency", "kaplan_meier"}


def test_too_few_held_out_leads_say_so(tmp_path: Path, fitted: Fitted) -> None:
    few = simulated(simulate(300, LENGTH, 3))
    data = Dataset({}, 30, 30, [], LENGTH - 1, {}, None, 38, [few])
    section = time_to_churn(tmp_path, data, fitted, Settings(7))
    assert section["no_estimate_reason"].startswith("too little is known: ")


def test_training_ends_where_its_outcomes_are_known_and_judging_begins_after() -> None:
    train, cut, test = _split(780, 38)
    assert (train[0], train[-1] + 38, cut) == (89, 387, 390)
    assert (test[0], test[-1]) == (390, 510)


@pytest.mark.parametrize(("length", "judged"), [(466, []), (467, [367]), (468, [367])])
def test_in_a_short_log_the_cut_waits_until_the_horizon_was_seen(length: int, judged: list[int]) -> None:
    train, cut, test = _split(length, 38)
    assert cut - 38 - train[0] == 240
    assert list(test) == judged


def test_a_log_that_tells_who_left_is_believed(history: History) -> None:
    days = np.full(1_500, LENGTH)
    days[:3] = [105, 150, 151]
    told = history._replace(left=Left(days, days))
    days, observed, known = _durations(told, np.arange(4), 100, 150, 38)
    assert days.tolist() == [5, 50, 50, 50]
    assert observed.tolist() == [True, True, False, False]
    assert known.tolist() == [50, 50, 50, 50]
