"""Training, from top to bottom: check, backtest, train on everything that has matured, write the artifact.

The backtest does on each test day what would have been done then, the choice of the recipe included, and compares with what happened next.
The artifact is made by the same steps at the end of the log, so its card shows how well such a model did, not how well it fits. The same
data and seed give the same bytes.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from model.drift import profile_of
from model.export import export
from model.features import FEATURE_SCHEMA_HASH, NUMERIC, FloatArray
from model.scorer import FILES
from model.training.artifact import check_output, replaced, save_manifest, smoke
from model.training.baselines import bg_nbd, recency_only
from model.training.card import TITLES, card
from model.training.dataset import SNAPSHOTS_SHARE, Dataset, Progress
from model.training.evaluation import evaluate
from model.training.figures import gain, reliability, returning
from model.training.fit import Settings
from model.training.page import page
from model.training.recipe import Trained, trained_at
from model.training.snapshots import Snapshot, as_known, joined
from model.training.split import judged_origin
from model.training.sufficient import check
from model.training.times import time_to_churn

MODEL = "model"


class Backtest(NamedTuple):
    """The test leads, and each one's probability by the model and by the baselines, all made with what was known on its day."""

    test: Snapshot
    scores: dict[str, FloatArray]


def train(output: Path, data: Dataset, settings: Settings, progress: Progress) -> dict[str, Any]:
    """Write an artifact into a folder and return its manifest.

    Args:
        output: Made when missing; an earlier artifact in it is replaced, and stays whole until then.
        data: Snapshots, and which of them test.
        settings: The seed, and whether risk must rise and fall as the schema says.
        progress: Called with what is being done and how far it is, in [0, 1].

    Raises:
        TrainingDataError: There is too little to learn from, a feature knows the outcome, or the output is something else.

    """
    check_output(output)
    check(data)
    backtest = _backtest(data, settings, progress)
    progress("training", 0.8)
    trained = _trained(data, data.end, settings)
    progress("report", 0.85)
    figures = {name: evaluate(score, backtest.test, settings.seed) for name, score in backtest.scores.items()}
    manifest = _manifest(data, settings, trained, backtest, figures)
    with replaced(output) as folder:
        export(trained.fitted.model, *(folder / name for name in FILES))
        progress("time to churn", 0.9)
        times = time_to_churn(folder, data, trained.fitted, settings)
        manifest = save_manifest({**manifest, "time_to_churn": times}, folder)
        _save_report(manifest, data, backtest, folder)
    progress("done", 1.0)
    return manifest


def _backtest(data: Dataset, settings: Settings, progress: Progress) -> Backtest:
    scores: list[dict[str, FloatArray]] = []
    for place, day in enumerate(data.tests):
        progress("backtest", SNAPSHOTS_SHARE + 0.6 * place / len(data.tests))
        test = data.snapshots[day]
        then = data._replace(snapshots={earlier: as_known(each, day) for earlier, each in data.snapshots.items()})
        known = joined([each for earlier, each in then.snapshots.items() if earlier + data.gap_days <= day])
        scores.append(
            {
                MODEL: _trained(then, day, settings).score(test),
                "bg_nbd": bg_nbd(test.everyone, test, data.horizon_days),
                "recency_only": recency_only(known, test),
            }
        )
    together = {name: np.concatenate([part[name] for part in scores]) for name in scores[0]}
    return Backtest(joined([data.snapshots[day] for day in data.tests]), together)


def _trained(data: Dataset, day: int, settings: Settings) -> Trained:
    origins = judged_origin(list(data.snapshots), data.gap_days, day)
    if origins is None:
        raise ValueError(f"nothing has matured before day {day}")  # test days are chosen so that something has
    return trained_at(*origins, data.snapshots, settings)


def _manifest(
    data: Dataset, settings: Settings, trained: Trained, backtest: Backtest, figures: dict[str, Any]
) -> dict[str, Any]:
    learned = joined([data.snapshots[day] for day in trained.days])
    newest = data.snapshots[trained.days[-1]]
    encoding = trained.fitted.encoding
    inputs = trained.fitted.inputs(learned)
    return {
        "data": {**data.described, "rows": len(learned.churned), "hash": _hash(inputs, learned)},
        "seed": settings.seed,
        "monotone": settings.monotone,
        "horizon_days": data.horizon_days,
        "silence": None if data.curve is None else {"days": data.silence_days, **data.curve._asdict()},
        "feature_schema": FEATURE_SCHEMA_HASH,
        "features": [feature.name for feature in NUMERIC],
        "encodings": encoding.rates,
        "base_rate": encoding.base_rate,
        "recipe": {**trained.recipe._asdict(), "briers": trained.briers},
        "calibration": trained.calibration.to_json(),
        "metrics": {
            "test": figures[MODEL],
            "baselines": {name: figures[name] for name in figures if name != MODEL},
        },
        "profile": profile_of(newest.numeric, newest.categories, backtest.scores[MODEL]),
        "smoke": smoke(trained.fitted.model, trained.fitted.inputs(newest)),
    }


def _hash(inputs: FloatArray, learned: Snapshot) -> str:
    return sha256(inputs.tobytes() + learned.churned.tobytes()).hexdigest()


def _save_report(manifest: dict[str, Any], data: Dataset, backtest: Backtest, folder: Path) -> None:
    pictures = {
        "reliability.png": reliability(backtest.scores[MODEL], backtest.test.churned, backtest.test.leads),
        "gain.png": gain({TITLES[name]: score for name, score in backtest.scores.items()}, backtest.test.churned),
    }
    if data.curve is not None and data.silence_days is not None:
        pictures["return_curve.png"] = returning(data.curve, data.silence_days)
    for name, picture in pictures.items():
        (folder / name).write_bytes(picture)
    (folder / "CARD.md").write_text(card(manifest))
    (folder / "report.html").write_text(page(manifest, pictures))
