"""Scorer: features to calibrated churn probabilities, from an artifact whose every file was checked. CatBoost itself is not needed to serve.

An artifact is data: `churn.cbm` (CatBoost's own), `trees.json` (the same trees as numbers), `manifest.json` (hashes, schema,
encodings, calibration, metrics, the training snapshot's profile, smoke vectors), and for people `CARD.md`, `report.html` and its curves. Its
version is the hash of the manifest, which names the hashes of the data.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.calibration import calibration_of
from model.fallback import Factor
from model.features import CATEGORIES, FEATURE_SCHEMA_HASH, NUMERIC, FloatArray
from model.trees import Trees, trees_of

FORMAT = "keepwell.model/v2"
MANIFEST = "manifest.json"
FILES = ("churn.cbm", "trees.json")  # without these nothing scores; a manifest may name more
FILE_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}\.[a-z0-9]{1,10}")
SMOKE_TOLERANCE = 1e-9
NAMES = (*(feature.name for feature in NUMERIC), *(feature.name for feature in CATEGORIES))
TOP_FACTORS = 8

__all__ = ["Factor", "ModelArtifactError", "Scorer", "artifact_version", "file_hash"]


class ModelArtifactError(Exception):
    """The artifact is missing, damaged, or not what it says it is."""


def file_hash(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def artifact_version(manifest: Mapping[str, Any]) -> str:
    """Return the version of an artifact: the hash of its manifest (which names its files' hashes), without the version itself."""
    rest = {key: value for key, value in manifest.items() if key != "version"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:32]


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
        _check_names(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelArtifactError(f"manifest.json is not a manifest: {type(error).__name__}: {error}") from error
    return manifest


def _check_names(files: Mapping[str, str]) -> None:
    missing = [name for name in FILES if name not in files]
    if missing:
        raise ModelArtifactError(f"the manifest names no {missing[0]}")
    for name in files:
        if not FILE_NAME.fullmatch(name) or name == MANIFEST:
            raise ModelArtifactError(f"the manifest names a file {name!r:.60}: letters, digits, - and _, then a suffix")


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

    def __init__(self, manifest: Mapping[str, Any], trees: Trees) -> None:
        self.version: str = manifest["version"]
        self.manifest = manifest
        self._trees = trees
        self._calibration = calibration_of(manifest["calibration"])
        self._encodings: list[dict[str, float]] = [manifest["encodings"][feature.name] for feature in CATEGORIES]
        self._base_rate: float = manifest["base_rate"]

    @classmethod
    def load(cls, folder: Path) -> "Scorer":
        """Return the artifact's scorer.

        Raises:
            ModelArtifactError: A hash, the schema or a smoke vector does not agree.

        """
        manifest = read_manifest(folder)
        try:
            scorer = cls(manifest, trees_of(json.loads((folder / "trees.json").read_text())))
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise ModelArtifactError(f"{folder.name}: {type(error).__name__}: {error}") from error
        smoke = manifest["smoke"]
        inputs = np.array([[np.nan if x is None else x for x in row] for row in smoke["inputs"]])
        if np.abs(scorer._trees.raw(inputs) - np.array(smoke["raw"])).max() > SMOKE_TOLERANCE:
            raise ModelArtifactError("the trees do not give the smoke vectors' scores")
        return scorer

    def encode(self, numeric: FloatArray, categories: Sequence[tuple[str, ...]]) -> FloatArray:
        """Return the model's inputs, (n, k + c): the numbers, and each category as its smoothed churn rate in training."""
        encoded = [
            [table.get(value, self._base_rate) for table, value in zip(self._encodings, row, strict=True)]
            for row in categories
        ]
        return np.concatenate([numeric, np.array(encoded)], axis=1)

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

    def explain(self, numeric: FloatArray, categories: tuple[str, ...]) -> list[Factor]:
        """Return the features of one lead that moved its log-odds most, largest first; (k,) numbers and a tuple of categories."""
        row = self.encode(numeric[None, :], [categories])[0]
        contributions = self._trees.contributions(row) * self._calibration.slope
        shown = [
            *("unknown" if np.isnan(x) else f"{x:g}" for x in numeric),
            *(value or "unknown" for value in categories),
        ]
        order = np.argsort(-np.abs(contributions), kind="stable")[:TOP_FACTORS]
        return [Factor(NAMES[place], shown[place], float(contributions[place])) for place in order]
