"""`keepwell train`: from a file to an artifact that a server serves, or to an error and nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from model.activity import DAY_MS, QUARTER_MS
from model.canary import check_artifact
from model.drift import counts_in, psi
from model.features import CATEGORIES, NUMERIC, number_place
from model.scorer import Scorer
from model.simulator import SOURCES, simulate
from model.snapshot import AMOUNT, CLICKS, INQUIRIES, OPENS, QUARTERS, VIEWS, categories_of, features_at
from model.training.encoding import Encoding
from server.cli.training_data import LogOptions, dataset_of_log
from tests.integration.training import COLUMNS, HEADER, OWN_TYPES, newest, run, say_nothing

DATA_FILES = ["churn.cbm", "manifest.json", "trees.json"]
READ_FILES = ["CARD.md", "gain.png", "reliability.png", "report.html", "return_curve.png"]
NAMES = {VIEWS: "page_view", OPENS: "email_open", CLICKS: "email_click", INQUIRIES: "inquiry", AMOUNT: "purchase"}
WORLD = simulate(1_000, 245, seed=4)
UNKNOWN = [("", "", "")] * 1_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An event log of 1,000 simulated leads over 245 days, with one page view a day."""
    lead, day, counter = np.nonzero(WORLD.days[..., list(NAMES)])
    counter = np.array(list(NAMES))[counter]
    count = WORLD.days[lead, day, counter]
    rows = np.repeat(np.arange(len(lead)), np.where((counter == AMOUNT) | (counter == VIEWS), 1, count).astype(int))
    at = (20_000 + day) * DAY_MS + np.log2(WORLD.days[lead, day, QUARTERS]).astype(int) * QUARTER_MS
    table = {
        "lead_id": [f"l{number}" for number in lead[rows]],
        "occur_time": pd.to_datetime(at[rows], unit="ms", utc=True),
        "type": [NAMES[each] for each in counter[rows]],
        "value": np.where(counter == AMOUNT, np.round(count, 2), np.nan)[rows],
    }
    file = tmp_path_factory.mktemp("log") / "events.parquet"
    pd.DataFrame(table).to_parquet(file)
    return file


@pytest.fixture(scope="module")
def model(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "model"
    code, output = run(folder, "--events", log)
    assert code == 0, output
    return folder


def test_an_event_log_gives_an_artifact_that_can_be_served(model: Path) -> None:
    assert sorted(path.name for path in model.iterdir()) == sorted([*DATA_FILES, *READ_FILES])
    check_artifact(model, 60)
    scorer = Scorer.load(model)
    features = features_at(WORLD, 244)
    scores = scorer.score(features, UNKNOWN)
    recency = features[:, number_place("days_since_last_activity")]
    assert scores[recency > 60].mean() > 0.7
    assert scores[recency < 3].mean() < 0.2


def test_the_report_shows_every_figure_with_its_interval_beside_the_baselines(model: Path) -> None:
    metrics = json.loads((model / "manifest.json").read_text())["metrics"]
    assert set(metrics["baselines"]) == {"bg_nbd", "recency_only"}
    for part in (metrics["test"], *metrics["baselines"].values()):
        for name in ("auc", "average_precision", "brier", "calibration_error"):
            low, high = part[f"{name}_95"]
            assert low <= high
            assert part["auc_95"][0] <= part["auc"] <= part["auc_95"][1]
        for threshold in ("0.3", "0.6", "0.8"):
            assert len(part[f"above_{threshold}"]["precision_95"]) == len(part[f"above_{threshold}"]["recall_95"]) == 2
    assert sum(day["leads"] for day in metrics["test"]["by_day"]) == metrics["test"]["leads"]
    page = (model / "report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert f"{metrics['test']['auc']:.3f} [" in page
    for name in ("gain.png", "reliability.png", "return_curve.png"):
        assert (model / name).read_bytes().startswith(b"\x89PNG")


def test_the_silence_length_follows_from_the_return_curve(model: Path) -> None:
    silence = json.loads((model / "manifest.json").read_text())["silence"]
    assert silence["returned"][silence["days"] - 1] <= 0.25 < silence["returned"][silence["days"] - 2]
    assert f"active within the last {silence['days']} days" in (model / "CARD.md").read_text()


def test_the_manifest_profiles_the_training_snapshot_for_drift(model: Path) -> None:
    profile = json.loads((model / "manifest.json").read_text())["profile"]
    assert set(profile) == {feature.name for feature in (*NUMERIC, *CATEGORIES)} | {"score"}
    features = features_at(WORLD, 244)
    features[:, number_place("tenure_days")] += 400
    found = psi(profile, counts_in(profile, features, UNKNOWN, np.full(1_000, 0.5)))
    assert found["tenure_days"] > 0.25 > found["source"]


def test_the_same_file_and_seed_give_the_same_bytes(log: Path, model: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "again", "--events", log)[0] == 0
    for name in [*DATA_FILES, *READ_FILES]:
        assert (tmp_path / "again" / name).read_bytes() == (model / name).read_bytes(), name


def test_another_seed_another_model_and_monotone_is_an_option(log: Path, model: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "free", "--events", log, "--seed", 8, "--no-monotone", "--silence-days", 30)[0] == 0
    manifest = json.loads((tmp_path / "free/manifest.json").read_text())
    assert (manifest["seed"], manifest["monotone"], manifest["silence"]["days"]) == (8, False, 30)
    assert manifest["version"] != json.loads((model / "manifest.json").read_text())["version"]
    assert "without monotone constraints" in (tmp_path / "free/CARD.md").read_text()


def test_a_test_day_s_figures_are_those_of_the_model_that_its_day_s_log_gives(log: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(log)
    late = pd.to_timedelta(np.random.default_rng(1).integers(0, 60, len(table)).clip(30) - 30, unit="D")
    table["receive_time"] = table["occur_time"] + late
    table.to_parquet(tmp_path / "all.parquet")
    day = pd.Timestamp(20_214, unit="D", tz="UTC")  # of the newest snapshot, thirty days before the end
    table[table["receive_time"] < day + pd.Timedelta(days=1)].to_parquet(tmp_path / "then.parquet")
    for name in ("all", "then"):
        code, output = run(tmp_path / name, "--events", tmp_path / f"{name}.parquet", "--silence-days", 42)
        assert code == 0, output
    test = newest(dataset_of_log(tmp_path / "all.parquet", LogOptions(COLUMNS), 30, 42, say_nothing))
    scores = Scorer.load(tmp_path / "then").score(test.numeric, test.categories)
    shown = json.loads((tmp_path / "all/manifest.json").read_text())["metrics"]["test"]["by_day"][-1]
    assert (shown["day"], shown["leads"]) == (214, len(scores))
    assert shown["mean_score"] == round(float(scores.mean()), 4)


def test_a_feature_table_gives_an_artifact_too(tmp_path: Path) -> None:
    table: dict[str, Any] = {feature.name: None for feature in (*NUMERIC, *CATEGORIES)}
    world = simulate(1_500, 300, seed=9)
    features = features_at(world, 200)
    table.update({feature.name: features[:, place] for place, feature in enumerate(NUMERIC)})
    churned = world.days[:, 201:231, 0].sum(axis=1) == 0
    file = tmp_path / "table.csv"
    pd.DataFrame({**table, "label": churned.astype(int)}).to_csv(file, index=False)
    code, output = run(tmp_path / "model", "--table", file)
    assert code == 0, output
    check_artifact(tmp_path / "model", 60)
    assert "say nothing about later months" in " ".join(output.split())


def test_the_command_takes_the_document_that_serving_takes(log: Path, model: Path, tmp_path: Path) -> None:
    table = pd.read_parquet(log)
    table["type"] = table["type"].replace("inquiry", "question")
    table.to_parquet(tmp_path / "log.parquet")
    (tmp_path / "own.yaml").write_text(OWN_TYPES)
    code, output = run(tmp_path / "model", "--events", tmp_path / "log.parquet")
    assert (code, "type: 'question' must be one of site_visit" in output) == (2, True)
    code, output = run(tmp_path / "own", "--events", tmp_path / "log.parquet", "--types", tmp_path / "own.yaml")
    assert code == 0, output
    for name in ("churn.cbm", "trees.json"):  # the same behaviour under another name
        assert (tmp_path / "own" / name).read_bytes() == (model / name).read_bytes()


def test_categories_are_trained_as_they_are_served(log: Path, tmp_path: Path) -> None:
    known = categories_of(WORLD)
    rows = [(f"l{lead}", *known[lead]) for lead in range(0, 1_000, 2)]  # of the others nothing is known
    pd.DataFrame(rows, columns=["lead_id", "source", "segment", "region"]).to_csv(tmp_path / "leads.csv", index=False)
    code, output = run(tmp_path / "model", "--events", log, "--leads", tmp_path / "leads.csv")
    assert code == 0, output
    manifest = json.loads((tmp_path / "model/manifest.json").read_text())
    assert set(manifest["encodings"]["source"]) == {"", *SOURCES}
    assert manifest["data"]["categories"] == "leads.csv"
    options = LogOptions(COLUMNS, leads=tmp_path / "leads.csv")
    part = newest(dataset_of_log(log, options, 30, manifest["silence"]["days"], say_nothing))
    names = sorted(set(pd.read_parquet(log)["lead_id"]))  # training numbers leads by their names
    numbers = [int(names[lead][1:]) for lead in part.leads]
    expected = [("", "", "") if number % 2 else known[number] for number in numbers]
    assert part.categories == expected
    trained = Encoding(manifest["encodings"], manifest["base_rate"]).inputs(part.numeric, part.categories)
    served = Scorer.load(tmp_path / "model").encode(part.numeric, expected)
    assert served.tobytes() == trained.tobytes()


def test_a_folder_that_holds_no_model_is_never_replaced(log: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.png").write_text("cat")
    code, output = run(tmp_path / "photos", "--events", log)
    assert code == 2
    assert "is not empty and holds no model" in output
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "cat.png"]


def test_an_earlier_model_stays_when_training_fails(model: Path, tmp_path: Path) -> None:
    before = (model / "manifest.json").read_bytes()
    file = tmp_path / "log.csv"
    file.write_text(HEADER)
    assert run(model, "--events", file)[0] == 2
    assert (model / "manifest.json").read_bytes() == before
    assert [path.name for path in model.parent.iterdir()] == ["model"]


def test_two_sources_at_once_are_refused(log: Path, tmp_path: Path) -> None:
    assert run(tmp_path / "model", "--events", log, "--table", log)[0] == 2
