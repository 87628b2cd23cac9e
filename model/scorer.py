"""Scorer: features to calibrated churn probabilities, from an artifact whose every file was checked. CatBoost itself is not needed to serve.

An artifact is data: `churn.cbm` (CatBoost's own), `trees.json` (the same trees as numbers), `hazard.cbm` and `hazard.json` (the same for the
time to churn, where it is estimated), `manifest.json` (hashes, schema, encodings, calibration, metrics, the training snapshot's profile, smoke
vectors), and for people `CARD.md`, `report.html` and its curves. Its version is the hash of the manifest, which names the hashes of the data.
"""

import hashlib
import json
import re
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.calibration import calibration_of
from model.explanation import Explanation, explained, number_shown
from model.features import CATEGORIES, FEATURE_SCHEMA_HASH, FloatArray
from model.shapley import shapley_table
from model.survival.estimate import (
    HAZARD_FILES,
    RECENCY,
    ChurnTimes,
    NoEstimateReason,
    PackedEstimate,
    smoke_inputs,
    worst_difference,
)
from model.survival.hazard import hazard_trees
from model.trees import Trees, asked_together, trees_of

FORMAT = "keepwell.model/v2"
MANIFEST = "manifest.json"
FILES = ("churn.cbm", "trees.json")  # without these nothing scores; a manifest may name more
FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}\.[a-z0-9]{1,10}")
SMOKE_TOLERANCE = 1e-9
MOST_ENCODED = 4_096  # rows of categories whose encodings are kept


class ModelArtifactError(Exception):
    """The artifact is missing, damaged, or not what it says it is."""


def file_hash(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def artifact_version(manifest: Mapping[str, Any]) -> str:
    """Return the version of an artifact: the hash of its manifest (which names its files' hashes), without the version itself."""
    rest = {key: value for key, value in manifest.items() if key != "version"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:32]


def files_of(times: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files of an artifact besides its manifest and card, from its section `time_to_churn`."""
    return FILES if times["no_estimate_reason"] else (*FILES, *HAZARD_FILES)


def parse_manifest(data: bytes) -> dict[str, Any]:
    """Return a manifest; raises ModelArtifactError unless it is whole, of a model that can be served here, and names sound files."""
    try:
        manifest: dict[str, Any] = json.loads(data)
        if manifest["format"] != FORMAT:
            raise ModelArtifactError(
                f"its format is {manifest['format']!r:.60}, and {FORMAT} can be read: train it again"
            )
        if artifact_version(manifest) != manifest["version"]:
            raise ModelArtifactError("manifest.json was changed after it was made")
        if manifest["feature_schema"] != FEATURE_SCHEMA_HASH:
            raise ModelArtifactError("the model was trained on another feature schema")
        if "time_to_churn" not in manifest:
            raise ModelArtifactError("it says nothing about the time to churn: train it again")
        _check_names(manifest["files"], files_of(manifest["time_to_churn"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelArtifactError(f"manifest.json is not a manifest: {type(error).__name__}: {error}") from error
    return manifest


def _check_names(files: Mapping[str, str], needed: tuple[str, ...]) -> None:
    for name in files:
        if not FILE_NAME.fullmatch(name) or name == MANIFEST:
            raise ModelArtifactError(f"the manifest names a file {name!r:.60}: letters, digits, - and _, then a suffix")
    missing = [name for name in needed if name not in files]
    if missing:
        raise ModelArtifactError(f"the manifest names no {missing[0]}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return an artifact's manifest; raises ModelArtifactError unless it and the files it names are whole."""
    try:
        manifest = parse_manifest((folder / MANIFEST).read_bytes())
        for name, digest in manifest["files"].items():
            if file_hash(folder / name) != digest:
                raise ModelArtifactError(f"{name} was changed after it was made")
    except OSError as error:
        raise ModelArtifactError(f"{folder.name}: {type(error).__name__}: {error}") from error
    return manifest


class Scorer:
    """A loaded model. Safe to share between threads."""

    def __init__(self, manifest: Mapping[str, Any], trees: Trees, times: ChurnTimes | None) -> None:
        self.version: str = manifest["version"]
        self.manifest = manifest
        self._trees = trees
        self._times = times
        compared = manifest["time_to_churn"]["metrics"] is not None
        self._no_times = NoEstimateReason.NOT_BETTER if compared else NoEstimateReason.NOT_TRAINED
        self._questions = trees.questions if times is None else asked_together(trees.questions, times.trees.questions)
        self._shapley = shapley_table(trees)
        self._calibration = calibration_of(manifest["calibration"])
        self._encodings: list[dict[str, float]] = [manifest["encodings"][feature.name] for feature in CATEGORIES]
        self._base_rate: float = manifest["base_rate"]
        self._encoded: dict[tuple[str, ...], bytes] = {}

    @classmethod
    def load(cls, folder: Path) -> "Scorer":
        """Return the artifact's scorer.

        Raises:
            ModelArtifactError: A hash, the schema or a smoke vector does not agree.

        """
        manifest = read_manifest(folder)
        try:
            trees = trees_of(json.loads((folder / "trees.json").read_text()))
            scorer = cls(manifest, trees, _times(folder, manifest["time_to_churn"]))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ModelArtifactError(f"{folder.name}: {type(error).__name__}: {error}") from error
        smoke = manifest["smoke"]
        if np.abs(trees.raw(smoke_inputs(smoke)) - np.array(smoke["raw"])).max() > SMOKE_TOLERANCE:
            raise ModelArtifactError("the trees do not give the smoke vectors' scores")
        return scorer

    def encode(self, numeric: FloatArray, categories: Sequence[tuple[str, ...]]) -> FloatArray:
        """Return the model's inputs, (n, k + c): the numbers, and each category as its smoothed churn rate in training."""
        known, encoded = numeric.shape[1], self._encodings_of(categories)
        rates = np.frombuffer(b"".join([encoded[row] for row in categories]))
        # In the order in which trees read them: a feature of all leads in a row.
        inputs = np.empty((len(numeric), known + len(CATEGORIES)), order="F")
        inputs[:, :known] = numeric
        inputs[:, known:] = rates.reshape(-1, len(CATEGORIES))
        return inputs

    def _encodings_of(self, categories: Sequence[tuple[str, ...]]) -> Mapping[tuple[str, ...], bytes]:
        """Return the encodings of at least these rows; few leads have categories of their own, so they are kept until they are too many."""
        if len(self._encoded) > MOST_ENCODED:
            self._encoded = {}
        encoded = self._encoded
        for row in set(categories).difference(encoded):
            tables = zip(self._encodings, row, strict=True)
            encoded[row] = array("d", [table.get(value, self._base_rate) for table, value in tables]).tobytes()
        return encoded

    def score(self, numeric: FloatArray, categories: Sequence[tuple[str, ...]]) -> FloatArray:
        """Return the calibrated churn probabilities of many leads.

        Args:
            numeric: Shape (n, k), float64, columns in the order of the schema; NaN means unknown.
            categories: One tuple a lead, in the order of the schema; "" means unknown.

        Returns:
            Shape (n,), float64, each in [0, 1].

        Source: the trees' log-odds through the artifact's calibration.

        """
        return self._calibration.apply(self._trees.raw(self.encode(numeric, categories)))

    def assess(
        self, numeric: FloatArray, categories: Sequence[tuple[str, ...]]
    ) -> tuple[FloatArray, list[PackedEstimate]]:
        """Return the churn probabilities of `score`, and with each when the lead will leave, or why that is not known."""
        answers, trees = self._questions.answers(self.encode(numeric, categories)), len(self._trees.values)
        probabilities = self._calibration.apply(self._trees.raw_of(answers[:trees]))
        if self._times is None:
            return probabilities, [self._no_times] * len(numeric)
        return probabilities, self._times.estimates(answers[trees:], numeric[:, RECENCY])

    def explain(self, numeric: FloatArray, categories: tuple[str, ...]) -> Explanation:
        """Return the features of one lead that moved its log-odds most, largest first; (k,) numbers and a tuple of categories.

        Base and contributions add up to the log-odds of the probability that `score` gives; with an isotonic calibration, which no sum can
        follow, to the trees' log-odds before it.
        """
        inputs = self.encode(numeric[None, :], [categories])
        slope, intercept = self._calibration.slope, self._calibration.intercept
        contributions = self._shapley.contributions(self._trees.leaves(inputs)[0], inputs.shape[1]) * slope
        values = [*map(number_shown, numeric.tolist()), *(value or "unknown" for value in categories)]
        return explained(slope * self._shapley.expected + intercept, contributions.tolist(), values)


def _times(folder: Path, section: Mapping[str, Any]) -> ChurnTimes | None:
    """Return the model of time to churn; None where the artifact says that it has none."""
    if section["no_estimate_reason"]:
        return None
    trees = hazard_trees(trees_of(json.loads((folder / HAZARD_FILES[1]).read_text())))
    if worst_difference(trees, section["smoke"]) > SMOKE_TOLERANCE:
        raise ModelArtifactError("the hazard trees do not give the smoke vectors' log-odds")
    return ChurnTimes(trees, section["silence_days"])
