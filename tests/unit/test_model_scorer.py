import json
import shutil
from array import array
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostClassifier

from model.canary import check_artifact
from model.features import CATEGORIES, NUMERIC, FloatArray, numbers_row
from model.scorer import ModelArtifactError, Scorer
from model.train import train
from server.models import SHIPPED


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(SHIPPED)


def rows(count: int) -> FloatArray:
    draw = np.random.default_rng(1)
    found = np.abs(draw.normal(5, 8, (count, len(NUMERIC))))
    found[draw.random(found.shape) < 0.2] = np.nan
    return found


CATEGORY = [("portal", "buyer", "NY")]


def test_the_schema_has_forty_four_numbers_and_three_categories() -> None:
    assert (len(NUMERIC), len(CATEGORIES)) == (44, 3)


def test_the_trees_give_what_catboost_gives(scorer: Scorer) -> None:
    model = CatBoostClassifier()
    model.load_model(str(SHIPPED / "churn.cbm"))
    inputs = scorer.encode(rows(5_000), CATEGORY * 5_000)
    expected = model.predict(inputs, prediction_type="RawFormulaVal")
    assert np.abs(scorer._trees.raw(inputs) - expected).max() < 1e-12


def test_a_lead_scores_the_same_alone_and_in_any_batch(scorer: Scorer) -> None:
    features = rows(300)
    together = scorer.score(features, CATEGORY * 300)
    alone = [scorer.score(features[place : place + 1], CATEGORY)[0] for place in range(300)]
    assert together.tolist() == alone


def test_contributions_add_up_to_the_score(scorer: Scorer) -> None:
    for row in scorer.encode(rows(5), CATEGORY * 5):
        total = scorer._trees.contributions(row).sum() + scorer._trees.expected()
        assert total == pytest.approx(scorer._trees.raw(row[None, :])[0], abs=1e-9)


def test_longer_silence_never_lowers_the_risk(scorer: Scorer) -> None:
    features = np.repeat(rows(1), 100, axis=0)
    features[:, 0] = np.arange(100)
    assert (np.diff(scorer.score(features, CATEGORY * 100)) >= 0).all()


def test_the_shipped_model_is_calibrated_on_leads_it_has_not_seen(scorer: Scorer) -> None:
    assert scorer.manifest["metrics"]["test"]["calibration_error"] <= 0.03


@pytest.mark.parametrize("name", ["churn.cbm", "trees.json", "manifest.json"])
def test_one_changed_byte_is_refused(tmp_path: Path, name: str) -> None:
    shutil.copytree(SHIPPED, tmp_path / "model")
    path = tmp_path / "model" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelArtifactError):
        Scorer.load(tmp_path / "model")


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = train(tmp_path / "a", seed=3, leads=1_000)
    second = train(tmp_path / "b", seed=3, leads=1_000)
    assert json.dumps(first) == json.dumps(second)
    assert (tmp_path / "a/churn.cbm").read_bytes() == (tmp_path / "b/churn.cbm").read_bytes()
    check_artifact(tmp_path / "a", 60)


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_number_in_its_range_stands_in_its_place(value: float) -> None:
    row, faults = numbers_row({"active_days_7": value})
    assert faults == {}
    assert [place for place, number in enumerate(array("d", row)) if number == number] == [4]  # noqa: PLR0124 (NaN)
    assert array("d", row)[4] == value


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (7.1, "must be in [0, 7] d"),
        (-0.1, "must be in [0, 7] d"),
        (float("nan"), "must be finite; leave an unknown feature out"),
        (float("inf"), "must be finite; leave an unknown feature out"),
    ],
)
def test_a_number_out_of_its_range_is_named_with_what_is_allowed(value: float, fault: str) -> None:
    assert numbers_row({"active_days_7": value, "tenure_days": 3})[1] == {"active_days_7": fault}
