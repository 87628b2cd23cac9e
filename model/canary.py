"""A model's first load, in a child process that may crash: `python -m model.canary FOLDER`.

A damaged CatBoost file can crash the process that reads it, or load and answer wrongly; so a child reads it and answers the smoke vectors.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from model.scorer import SMOKE_TOLERANCE, ModelArtifactError, read_manifest


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
    from catboost import CatBoostClassifier

    folder = Path(sys.argv[1])
    smoke = read_manifest(folder)["smoke"]
    model = CatBoostClassifier()
    model.load_model(str(folder / "churn.cbm"))
    inputs = np.array([[np.nan if x is None else x for x in row] for row in smoke["inputs"]])
    worst = float(np.abs(model.predict(inputs, prediction_type="RawFormulaVal") - np.array(smoke["raw"])).max())
    print(json.dumps({"worst_difference": worst}))
    if worst > SMOKE_TOLERANCE:
        print(f"CatBoost differs from the manifest by {worst:g}", file=sys.stderr)
    return int(worst > SMOKE_TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
