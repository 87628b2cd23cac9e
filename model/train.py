"""Training: a simulated portfolio, snapshots split by time, CatBoost, calibration on later leads, an artifact folder.

Train on snapshots whose horizon ends before the calibration snapshots begin, calibrate on those, test on later ones still. No class
weights and no resampling: both spoil the calibration that the stages rest upon. The same seed gives the same bytes.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.card import card
from model.features import CATEGORIES, FEATURE_SCHEMA_HASH, NUMERIC, FloatArray
from model.metrics import brier, report
from model.scorer import artifact_version, file_hash
from model.simulator import simulate
from model.snapshot import HORIZON_DAYS, Snapshot, snapshot
from model.trees import trees_from_catboost, trees_of

DAYS = 420
TRAIN_DAYS, CALIBRATE_DAYS, TEST_DAYS = range(120, 241, 20), (275, 285), (320, 350, 380)
SMOOTHING = 50.0  # a category's rate counts as much as the overall one at so many leads
SMOKE_ROWS = 32
TREES, DEPTH, LEARNING_RATE = 300, 6, 0.02
Progress = Callable[[str, float], None]


def train(output: Path, *, seed: int = 7, leads: int = 6_000, progress: Progress | None = None) -> dict[str, Any]:
    """Write an artifact into a folder and return its manifest.

    Args:
        output: Made when missing; files of an earlier artifact in it are replaced.
        seed: Of the simulated world and of CatBoost.
        leads: How many leads the world has.
        progress: Called with what is being done and how far it is, in [0, 1].

    """
    say = progress or (lambda _what, _share: None)
    say("simulating", 0.0)
    world = simulate(leads, DAYS, seed)
    say("snapshots", 0.1)
    parts = [_joined([snapshot(world, day) for day in days]) for days in (TRAIN_DAYS, CALIBRATE_DAYS, TEST_DAYS)]
    encodings, base_rate = _encodings(parts[0])
    inputs = [_inputs(part, encodings, base_rate) for part in parts]
    say("training", 0.2)
    model = _fit(inputs[0], parts[0].churned, seed)
    raw = [np.asarray(model.predict(rows, prediction_type="RawFormulaVal")) for rows in inputs]
    slope, intercept = _platt(raw[1], parts[1].churned)
    say("writing", 0.9)
    output.mkdir(parents=True, exist_ok=True)
    _save(model, output)
    manifest = {
        "format": "keepwell.model/v1",
        "seed": seed,
        "simulated_leads": leads,
        "horizon_days": HORIZON_DAYS,
        "feature_schema": FEATURE_SCHEMA_HASH,
        "features": [feature.name for feature in NUMERIC],
        "encodings": encodings,
        "base_rate": base_rate,
        "calibration": {"method": "platt", "slope": slope, "intercept": intercept},
        "data_hash": _data_hash(inputs[0], parts[0].churned),
        "metrics": _metrics(parts[2], raw[2], slope, intercept),
        "smoke": _smoke(model, inputs[2]),
        "files": {name: file_hash(output / name) for name in ("churn.cbm", "trees.json")},
    }
    manifest["version"] = artifact_version(manifest)
    (output / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    (output / "CARD.md").write_text(card(manifest))
    say("done", 1.0)
    return manifest


def _joined(parts: Sequence[Snapshot]) -> Snapshot:
    return Snapshot(
        np.concatenate([part.numeric for part in parts]),
        [row for part in parts for row in part.categories],
        np.concatenate([part.churned for part in parts]),
        np.concatenate([part.leads for part in parts]),
    )


def _encodings(part: Snapshot) -> tuple[dict[str, dict[str, float]], float]:
    """Return each category's churn rate, drawn towards the overall one where there are few leads, and the overall one."""
    base_rate = float(part.churned.mean())
    tables: dict[str, dict[str, float]] = {}
    for place, feature in enumerate(CATEGORIES):
        values = np.array([row[place] for row in part.categories])
        tables[feature.name] = {
            str(value): float(
                (part.churned[values == value].sum() + SMOOTHING * base_rate) / ((values == value).sum() + SMOOTHING)
            )
            for value in np.unique(values)
        }
    return tables, base_rate


def _inputs(part: Snapshot, encodings: dict[str, dict[str, float]], base_rate: float) -> FloatArray:
    tables = [encodings[feature.name] for feature in CATEGORIES]
    encoded = [
        [table.get(value, base_rate) for table, value in zip(tables, row, strict=True)] for row in part.categories
    ]
    return np.concatenate([part.numeric, np.array(encoded)], axis=1)


def _fit(rows: FloatArray, churned: NDArray[np.bool_], seed: int) -> Any:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(
        iterations=TREES,
        depth=DEPTH,
        learning_rate=LEARNING_RATE,
        loss_function="Logloss",
        monotone_constraints=[*(feature.monotone for feature in NUMERIC), *[0] * len(CATEGORIES)],
        random_seed=seed,
        thread_count=1,  # more threads add in another order, and the bytes would differ
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(rows, churned.astype(int))
    return model


def _platt(raw: FloatArray, churned: NDArray[np.bool_]) -> tuple[float, float]:
    """Return slope and intercept of the log-odds that fit later leads best; (1, 0) when they do not lower the Brier score.

    Source: Platt (1999), by Newton's method on two parameters.
    """
    parameters = np.array([1.0, 0.0])
    design = np.stack([raw, np.ones_like(raw)], axis=1)
    for _ in range(50):
        probability = 1 / (1 + np.exp(-design @ parameters))
        weight = probability * (1 - probability)
        step = np.linalg.solve(design.T @ (design * weight[:, None]), design.T @ (churned - probability))
        parameters += step
        if np.abs(step).max() < 1e-10:  # noqa: PLR2004 (far below what a probability shows)
            break
    before = brier(1 / (1 + np.exp(-raw)), churned)
    after = brier(1 / (1 + np.exp(-design @ parameters)), churned)
    return (float(parameters[0]), float(parameters[1])) if after < before else (1.0, 0.0)


def _save(model: Any, output: Path) -> None:
    metadata = model.get_metadata()
    for key in ("model_guid", "train_finish_time"):  # the only bytes that differ between two equal trainings
        metadata[key] = ""
    model.save_model(str(output / "churn.cbm"))
    model.save_model(str(output / "trees.json"), format="json")
    exported = trees_from_catboost(json.loads((output / "trees.json").read_text()))
    trees_of(exported)
    (output / "trees.json").write_text(json.dumps(exported))


def _data_hash(rows: FloatArray, churned: NDArray[np.bool_]) -> str:
    import hashlib

    return hashlib.sha256(rows.tobytes() + churned.tobytes()).hexdigest()


def _metrics(part: Snapshot, raw: FloatArray, slope: float, intercept: float) -> dict[str, Any]:
    probability = 1 / (1 + np.exp(-(slope * raw + intercept)))
    return {
        "test": report(probability, part.churned),
        "recency_only_auc": report(part.numeric[:, 0], part.churned)["auc"],
    }


def _smoke(model: Any, rows: FloatArray) -> dict[str, Any]:
    """Return inputs, some with unknowns, and the log-odds that every load must reproduce."""
    chosen = rows[:: max(len(rows) // SMOKE_ROWS, 1)][:SMOKE_ROWS].copy()
    chosen[::4, ::3] = np.nan
    raw = np.asarray(model.predict(chosen, prediction_type="RawFormulaVal"))
    inputs = [[None if np.isnan(x) else float(x) for x in row] for row in chosen]
    return {"inputs": inputs, "raw": raw.tolist()}
