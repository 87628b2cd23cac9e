import hashlib
import json
import shutil
from array import array
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from catboost import CatBoostClassifier

from model.features import CATEGORIES, NUMERIC, FloatArray, numbers_row
from model.scorer import MOST_ENCODED, ModelArtifactError, Scorer, artifact_version
from model.survival.hazard import hazard_trees
from model.trees import asked_together, trees_of
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


def test_two_models_that_are_asked_together_answer_as_each_does_alone(scorer: Scorer) -> None:
    deep, inputs = scorer._trees.questions, scorer.encode(rows(300), CATEGORY * 300)
    shallow = hazard_trees(trees_of(json.loads((SHIPPED / "hazard.json").read_text()))).questions
    one, other = deep.answers(inputs).tolist(), shallow.answers(inputs).tolist()
    assert asked_together(deep, shallow).answers(inputs).tolist() == one + other
    assert asked_together(shallow, deep).answers(inputs).tolist() == other + one


def test_categories_are_encoded_the_same_after_more_of_them_came_than_are_kept(scorer: Scorer) -> None:
    many = [("portal", "buyer", str(number)) for number in range(MOST_ENCODED + 1)]
    first = scorer.encode(rows(1), CATEGORY)
    scorer.encode(rows(len(many)), many)
    assert scorer.encode(rows(1), CATEGORY).tobytes() == first.tobytes()
    assert list(scorer._encoded) == CATEGORY


def test_longer_silence_never_lowers_the_risk(scorer: Scorer) -> None:
    features = np.repeat(rows(1), 100, axis=0)
    features[:, 0] = np.arange(100)
    assert (np.diff(scorer.score(features, CATEGORY * 100)) >= 0).all()


def test_the_shipped_model_is_calibrated_on_leads_it_has_not_seen(scorer: Scorer) -> None:
    assert scorer.manifest["metrics"]["test"]["calibration_error"] <= 0.03


LOG_ODDS, PROBABILITIES = [-1.0, 0.0, 2.0], [0.1, 0.2, 0.8]


@pytest.mark.parametrize(
    ("calibration", "expected"),
    [
        ({"method": "none", "slope": 1.0, "intercept": 0.0}, lambda raw: 1 / (1 + np.exp(-raw))),
        ({"method": "platt", "slope": 0.5, "intercept": -1.0}, lambda raw: 1 / (1 + np.exp(1 - 0.5 * raw))),
        (
            {"method": "isotonic", "slope": 1.0, "intercept": 0.0, "knots": [LOG_ODDS, PROBABILITIES]},
            lambda raw: np.interp(raw, LOG_ODDS, PROBABILITIES),
        ),
    ],
    ids=["none", "platt", "isotonic"],
)
def test_each_calibration_is_served_as_it_was_chosen(
    tmp_path: Path, calibration: dict[str, object], expected: Callable[[FloatArray], FloatArray]
) -> None:
    found = Scorer.load(changed(tmp_path / "model", calibration=calibration))
    features = rows(200)
    raw = found._trees.raw(found.encode(features, CATEGORY * 200))
    np.testing.assert_array_equal(found.score(features, CATEGORY * 200), expected(raw))


def changed(folder: Path, **entries: object) -> Path:
    """Return a copy of the shipped artifact with other entries in its manifest, and the version that they give it."""
    shutil.copytree(SHIPPED, folder)
    manifest = {**json.loads((folder / "manifest.json").read_text()), **entries}
    manifest["version"] = artifact_version(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_an_artifact_of_an_earlier_format_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        ModelArtifactError, match=r"'keepwell.model/v1', and keepwell.model/v2 can be read: train it again"
    ):
        Scorer.load(changed(tmp_path / "model", format="keepwell.model/v1"))


def test_an_artifact_without_the_time_to_churn_says_what_to_do(tmp_path: Path) -> None:
    folder = changed(tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["time_to_churn"]
    manifest["version"] = artifact_version(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelArtifactError, match="it says nothing about the time to churn: train it again"):
        Scorer.load(folder)


def test_a_calibration_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelArtifactError, match="calibration 'magic' is not one of none, platt, isotonic"):
        Scorer.load(changed(tmp_path / "model", calibration={"method": "magic", "slope": 1.0, "intercept": 0.0}))


def test_a_further_file_of_the_artifact_is_checked_too(tmp_path: Path, scorer: Scorer) -> None:
    files = {**scorer.manifest["files"], "further.json": hashlib.sha256(b"[]").hexdigest()}
    folder = changed(tmp_path / "model", files=files)
    (folder / "further.json").write_text("[]")
    Scorer.load(folder)
    (folder / "further.json").write_text("[1]")
    with pytest.raises(ModelArtifactError, match=r"further\.json was changed"):
        Scorer.load(folder)


@pytest.mark.parametrize("name", ["churn.cbm", "trees.json", "hazard.cbm", "hazard.json", "manifest.json"])
def test_one_changed_byte_is_refused(tmp_path: Path, name: str) -> None:
    shutil.copytree(SHIPPED, tmp_path / "model")
    path = tmp_path / "model" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelArtifactError):
        Scorer.load(tmp_path / "model")


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
