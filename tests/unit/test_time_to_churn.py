"""The hazard model as it is served."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from catboost import CatBoostClassifier
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.features import CATEGORIES, NUMERIC, FloatArray
from model.scorer import Scorer, artifact_version
from model.survival.cohort import Cohort, Durations
from model.survival.curves import EDGES, PERIODS, days_until
from model.survival.estimate import HAZARD_FILES, ChurnTimes, Estimate, NoEstimateReason, unpacked
from model.survival.hazard import PERIOD_INPUT, HazardTrees, by_period, hazard_trees, person_periods
from model.survival.training import train_time_to_churn, without_estimate
from model.trees import questions_of, starts_of, trees_of
from server.models import SHIPPED

INPUTS = len(NUMERIC) + len(CATEGORIES)
TREES = hazard_trees(trees_of(json.loads((SHIPPED / "hazard.json").read_text())))
RECENCY = 0


def leads(count: int) -> FloatArray:
    draw = np.random.default_rng(2)
    found = np.abs(draw.normal(5, 8, (count, INPUTS)))
    found[draw.random(found.shape) < 0.2] = np.nan
    return found


def flat(hazard: float) -> HazardTrees:
    """Return a model in which everybody leaves with the same probability in every period."""
    table = np.full((16, 1), np.log(hazard / (1 - hazard)))
    return HazardTrees(
        questions_of(np.zeros((4, 1), np.intp), np.full((4, 1), np.inf, np.float32)),
        table,
        starts_of(1, 16),
        np.zeros(PERIODS, np.intp),
        0.0,
    )


def test_the_tables_give_what_catboost_gives() -> None:
    model = CatBoostClassifier()
    model.load_model(str(SHIPPED / "hazard.cbm"))
    expected = model.predict(by_period(leads(2_000)), prediction_type="RawFormulaVal").reshape(2_000, PERIODS)
    assert np.abs(TREES.raw(leads(2_000)) - expected).max() < 1e-12


def test_a_lead_is_estimated_the_same_alone_and_in_any_batch() -> None:
    together = TREES.raw(leads(300))
    assert [TREES.raw(leads(300)[place : place + 1])[0].tolist() for place in range(300)] == together.tolist()


NUMBERS = st.one_of(st.just(float("nan")), st.floats(-1e12, 1e12))


@given(arrays(np.float64, (3, INPUTS), elements=NUMBERS))
def test_who_has_left_stays_away_whatever_is_known_of_the_lead(inputs: FloatArray) -> None:
    stays = TREES.stays(inputs)
    assert ((stays >= 0) & (stays <= 1)).all()
    assert (np.diff(stays, axis=1) <= 0).all()


def estimates(trees: HazardTrees, inputs: FloatArray) -> list[Estimate]:
    return [
        unpacked(kept) for kept in ChurnTimes(trees, 42).estimates(trees.questions.answers(inputs), inputs[:, RECENCY])
    ]


@given(st.floats(0, 42))
def test_the_band_and_the_probabilities_are_in_order(recency: float) -> None:
    inputs = leads(20)
    inputs[:, RECENCY] = recency
    for time, _ in estimates(TREES, inputs):
        assert time is not None
        days = [250 if found is None else found for found in (time.early_days, time.median_days, time.late_days)]
        assert days == sorted(days)
        assert 0 <= time.within_7_days <= time.within_30_days <= time.within_90_days <= 1


def test_days_lie_between_the_ends_of_periods_and_stop_at_the_horizon() -> None:
    curve = [0.02 * place for place in range(1, PERIODS + 1)]  # 0.02 by now, 0.04 in 10 days, ... 0.50 in 240

    def days(share: float) -> float:
        return float(days_until(np.array([curve]).T, [share])[0, 0])

    assert days(0.02) == 0
    assert days(0.03) == pytest.approx(5)
    assert days(0.1) == pytest.approx(40)
    assert days(0.5) == pytest.approx(240)
    assert days(0.5000001) == np.inf


def test_a_tenth_in_every_period_is_worked_out() -> None:
    ((time, reason),) = estimates(flat(0.1), np.zeros((1, INPUTS)))
    # 0.9^6 = .531 stay for 50 days, 0.9^7 = .478 for 60, 0.9^21 = .109 for 200, 0.9^22 = .098 for 210.
    assert time is not None
    assert list(time) == [55.9, 0.0, 208.6, 0.163, 0.3439, 0.6513]
    assert reason is None


def test_the_median_is_left_out_when_it_lies_beyond_the_horizon() -> None:
    # Of ten thousand leads 5,001, or 4,999, have left by day 240.
    ((near, reason),) = estimates(flat(1 - 0.4999 ** (1 / PERIODS)), np.zeros((1, INPUTS)))
    assert near is not None
    assert near.median_days == 239.9
    assert (near.late_days, reason) == (None, None)
    ((beyond, reason),) = estimates(flat(1 - 0.5001 ** (1 / PERIODS)), np.zeros((1, INPUTS)))
    assert beyond is not None
    assert beyond.median_days is None
    assert beyond.within_90_days == pytest.approx(1 - 0.5 ** (10 / PERIODS), abs=1e-4)
    assert reason is NoEstimateReason.BEYOND_HORIZON


def test_a_lead_silent_for_as_long_as_counts_is_estimated_and_a_day_longer_is_not() -> None:
    inputs = np.zeros((3, INPUTS))
    inputs[:, RECENCY] = (42, 43, np.nan)
    found = estimates(flat(0.1), inputs)
    assert [time is not None for time, _ in found] == [True, False, False]
    assert [reason for _, reason in found] == [
        None,
        NoEstimateReason.SILENT_ALREADY,
        NoEstimateReason.ACTIVITY_UNKNOWN,
    ]


def test_a_lead_is_in_every_period_that_is_known_until_it_leaves() -> None:
    durations = Durations(
        np.array([0.0, 0.0, 5.0, 25.0, 30.0, 25.0]),
        np.array([True, True, True, True, False, True]),
        np.array([30.0, 30.0, 30.0, 30.0, 30.0, 29.0]),
    )
    rows, left = person_periods(np.arange(6.0)[:, None], durations)
    # The last lead leaves in a period of which nobody's end is known: it was there until then.
    assert rows[:, 0].tolist() == [0, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5]
    assert rows[:, 1].tolist() == [0, 0, 0, 1, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]
    assert np.flatnonzero(left).tolist() == [0, 1, 3, 7]
    assert EDGES[:4].tolist() == [0, 10, 20, 30]
    assert PERIOD_INPUT == INPUTS


def strangers(count: int, seed: int) -> Cohort:
    """Return leads whose leaving has nothing to do with what is known of them."""
    draw = np.random.default_rng(seed)
    days = np.floor(draw.exponential(80, count))
    known = np.full(count, 240.0)
    durations = Durations(np.minimum(days, known), days <= known, known)
    return Cohort(draw.random((count, INPUTS)), durations, np.arange(count))


def test_nothing_is_served_where_the_features_say_nothing(tmp_path: Path) -> None:
    section = train_time_to_churn(tmp_path, strangers(600, 1), strangers(600, 2), [0] * INPUTS, 42, 7)
    assert section["no_estimate_reason"].startswith("no better than ")
    assert section["smoke"] is None
    assert list(tmp_path.iterdir()) == []


def changed_artifact(folder: Path, section: dict[str, Any]) -> None:
    shutil.copytree(SHIPPED, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["time_to_churn"] |= section
    for name in HAZARD_FILES:
        del manifest["files"][name]
        (folder / name).unlink()
    manifest["version"] = artifact_version(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_an_artifact_without_an_estimate_scores_and_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    changed_artifact(folder, {"no_estimate_reason": "no better than Cox", "smoke": None})
    numeric, categories = leads(2)[:, : len(NUMERIC)], [("portal", "buyer", "NY")] * 2
    probabilities, times = Scorer.load(folder).assess(numeric, categories)
    assert probabilities.tolist() == Scorer.load(SHIPPED).score(numeric, categories).tolist()
    assert times == [NoEstimateReason.NOT_BETTER] * 2


def test_an_artifact_of_data_that_tells_no_times_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    changed_artifact(folder, without_estimate("a table of features does not say when leads left"))
    numeric, categories = leads(2)[:, : len(NUMERIC)], [("portal", "buyer", "NY")] * 2
    assert Scorer.load(folder).assess(numeric, categories)[1] == [NoEstimateReason.NOT_TRAINED] * 2
