"""Writing an artifact: into a folder beside its place, and there in one step, so that nobody ever sees half of one."""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from model.features import FloatArray
from model.scorer import FORMAT, artifact_version, file_hash
from model.training.errors import TrainingDataError

SMOKE_ROWS = 32
NOT_HASHED = ("manifest.json", "CARD.md", "report.html")  # what a person reads; pictures likewise


@contextlib.contextmanager
def replaced(output: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the output's place at the end; on an error nothing is left of it and the output is as before."""
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        made, old = work / "made", work / "old"
        made.mkdir()
        yield made
        if output.exists():
            output.rename(old)
        made.rename(output)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def check_output(output: Path) -> None:
    """Raise TrainingDataError when the output is there and is no artifact, since it will be replaced."""
    empty = output.is_dir() and not any(output.iterdir())
    if output.exists() and not empty and not (output / "manifest.json").is_file():
        raise TrainingDataError(f"{output} is not empty and holds no model: it would be replaced")


def save_manifest(manifest: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the manifest with its format, every data file's hash and its version, and write it."""
    files = sorted(path for path in folder.iterdir() if path.name not in NOT_HASHED and path.suffix != ".png")
    whole = {**manifest, "format": FORMAT, "files": {path.name: file_hash(path) for path in files}}
    whole["version"] = artifact_version(whole)
    (folder / "manifest.json").write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
    return whole


def smoke(model: Any, rows: FloatArray) -> dict[str, Any]:
    """Return inputs, some with unknowns, and the log-odds that every load must reproduce."""
    chosen = rows[:: max(len(rows) // SMOKE_ROWS, 1)][:SMOKE_ROWS].copy()
    chosen[::4, ::3] = np.nan
    raw = np.asarray(model.predict(chosen, prediction_type="RawFormulaVal"))
    inputs = [[None if np.isnan(x) else float(x) for x in row] for row in chosen]
    return {"inputs": inputs, "raw": raw.tolist()}
