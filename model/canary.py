"""A model's first load, in a child process that may crash: `python -m model.canary FOLDER`.

A damaged CatBoost file can crash the process that reads it, or load and answer wrongly; so a child reads it and answers the smoke vectors.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from model.features import FloatArray
from model.scorer import SMOKE_TOLERANCE, ModelArtifactError, read_manifest
from model.survival.curves import PERIODS
from model.survival.estimate import smoke_inputs
from model.survival.hazard import by_period


def check_artifact(folder: Path, timeout_seconds: float) -> None:
    """Let a child process load the artifact with CatBoost; raises ModelArtifactError when it crashes, hangs, or answers wrongly."""
    command = [sys.executable, "-m", "model.canary", str(folder)]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise ModelArtifactError(f"CatBoost took longer than {timeout_seconds:.0f} s") from error
    if child.returncode != 0:
        raise ModelArtifactError(child.stderr.strip()[-300:] or f"CatBoost ended with {child.returncode}")


def main() -> int:
    """Load the folder named on the command line; return the exit code."""
    folder = Path(sys.argv[1])
    manifest = read_manifest(folder)
    smoke, times = manifest["smoke"], manifest["time_to_churn"]["smoke"]
    worst = float(np.abs(_raw(folder / "churn.cbm", smoke_inputs(smoke)) - np.array(smoke["raw"])).max())
    if times is not None:
        raw = _raw(folder / "hazard.cbm", by_period(smoke_inputs(times))).reshape(-1, PERIODS)
        worst = max(worst, float(np.abs(raw - np.array(times["raw"])).max()))
    print(json.dumps({"worst_difference": worst}))
    if worst > SMOKE_TOLERANCE:
        print(f"CatBoost differs from the manifest by {worst:g}", file=sys.stderr)
    return int(worst > SMOKE_TOLERANCE)


def _raw(file: Path, inputs: FloatArray) -> FloatArray:
    from catboost import CatBoostClassifier

    model = CatBoostClassifier()
    model.load_model(str(file))
    return np.asarray(model.predict(inputs, prediction_type="RawFormulaVal"))


if __name__ == "__main__":
    sys.exit(main())
