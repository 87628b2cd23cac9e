"""Artifacts on their way in: pieced together from an upload, checked, and loaded. They are data; nothing of one is ever executed.

Loading blocks for a while, so it is done in a thread that is not the road's.
"""

import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from model.canary import check_artifact
from model.drift import counts_in, psi
from model.features import CATEGORIES, NUMERIC
from model.scorer import MANIFEST, ModelArtifactError, Scorer, parse_manifest
from server.errors import ModelRefusedError
from server.store.models import Files

CANARY_SECONDS = 30.0
LARGEST_MANIFEST = 1 << 20
LARGEST_ARTIFACT = 32 << 20
MOST_FILES = 16


class Assembly:
    """An artifact in the making; `add` takes the pieces, `whole` returns it."""

    def __init__(self, manifest: bytes) -> None:
        """Begin with the manifest; raises ModelRefusedError when it is none that could be served."""
        if not 1 <= len(manifest) <= LARGEST_MANIFEST:
            raise ModelRefusedError(f"the first message's manifest must be 1 to {LARGEST_MANIFEST} bytes", MANIFEST)
        try:
            self._manifest = parse_manifest(manifest)
        except ModelArtifactError as error:
            raise ModelRefusedError(str(error), MANIFEST) from error
        if len(self._manifest["files"]) > MOST_FILES:
            raise ModelRefusedError(f"an artifact has at most {MOST_FILES} files", MANIFEST)
        self._bytes = manifest
        self._pieces: dict[str, bytearray] = {}
        self._size = 0

    @property
    def version(self) -> str:
        """The version that it will have."""
        return str(self._manifest["version"])

    def add(self, file: str, data: bytes) -> None:
        """Add what follows in a file; raises ModelRefusedError for a file that does not belong, or too much."""
        if file not in self._manifest["files"]:
            names = ", ".join(sorted(self._manifest["files"]))
            raise ModelRefusedError(f"the manifest names no file {file!r:.60}; its files are {names}", file[:60])
        if file in self._pieces and file != next(reversed(self._pieces)):
            raise ModelRefusedError(f"{file} goes on after another file began", file)
        self._size += len(data)
        if self._size > LARGEST_ARTIFACT:
            raise ModelRefusedError(f"the files of an artifact are at most {LARGEST_ARTIFACT} bytes together", file)
        self._pieces.setdefault(file, bytearray()).extend(data)

    def whole(self) -> Files:
        """Return the artifact; raises ModelRefusedError for a file that is missing or not what the manifest says."""
        for name, digest in self._manifest["files"].items():
            if name not in self._pieces:
                raise ModelRefusedError(f"{name} is missing", name)
            found = sha256(self._pieces[name]).hexdigest()
            if found != digest:
                raise ModelRefusedError(f"{name} has the SHA-256 {found}, and the manifest says {digest!r:.80}", name)
        return {MANIFEST: self._bytes, **{name: bytes(data) for name, data in self._pieces.items()}}


def check_hashes(artifact: Files, version: str) -> Mapping[str, Any]:
    """Return the manifest of an artifact; raises ModelArtifactError unless all of it is what this version was made of."""
    manifest = parse_manifest(artifact.get(MANIFEST, b""))
    if manifest["version"] != version:
        raise ModelArtifactError(f"what is kept as {version} is {manifest['version']}")
    for name, digest in manifest["files"].items():
        if name not in artifact:
            raise ModelArtifactError(f"{name} is missing")
        if sha256(artifact[name]).hexdigest() != digest:
            raise ModelArtifactError(f"{name} was changed after it was made")
    return manifest


def load_artifact(artifact: Files, *, canary: bool) -> Scorer:
    """Return an artifact's scorer, after a child process tried it with CatBoost when `canary` is set.

    Without the canary no file of CatBoost's is read at all: serving evaluates the trees as numbers.

    Raises:
        ModelArtifactError: A hash, the schema, a smoke vector or CatBoost does not agree.

    """
    with tempfile.TemporaryDirectory(prefix="keepwell-model-") as name:
        folder = Path(name)
        for file, data in artifact.items():
            (folder / file).write_bytes(data)
        return load_folder(folder, canary=canary)


def load_folder(folder: Path, *, canary: bool) -> Scorer:
    """Return the scorer of the artifact in a folder, as `load_artifact` does."""
    try:
        scorer = Scorer.load(folder)
        _try_profile(scorer)
    except ModelArtifactError:
        raise
    except Exception as error:
        # A manifest of the right hash may still lack or misshape anything that loading reads.
        raise ModelArtifactError(f"the artifact cannot be read: {type(error).__name__}: {error}") from error
    if canary:
        # A damaged CatBoost file can crash the process that reads it: a child reads it first.
        check_artifact(folder, CANARY_SECONDS)
    return scorer


def _try_profile(scorer: Scorer) -> None:
    """Count one lead in the bins of the training snapshot, so that a profile of another shape is found now and not while serving."""
    profile = scorer.manifest.get("profile")
    if profile is not None:
        unknown = np.full((1, len(NUMERIC)), np.nan)
        psi(profile, counts_in(profile, unknown, [("",) * len(CATEGORIES)], np.array([0.5])))


def read_folder(folder: Path) -> Files:
    """Return the files of an artifact: its manifest and what that names; raises ModelArtifactError when one cannot be read."""
    try:
        manifest = (folder / MANIFEST).read_bytes()
        names = parse_manifest(manifest)["files"]
        return {MANIFEST: manifest, **{name: (folder / name).read_bytes() for name in names}}
    except OSError as error:
        raise ModelArtifactError(f"{error.strerror}: {error.filename}") from error
