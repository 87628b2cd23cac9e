"""A trained CatBoost model as the two files that an artifact keeps of it: CatBoost's own, and the same trees as numbers."""

import json
from pathlib import Path
from typing import Any

from model.trees import Trees, trees_from_catboost, trees_of


def export(model: Any, binary: Path, numbers: Path) -> Trees:
    """Write both files, and return the trees as they will be loaded; the same model gives the same bytes."""
    metadata = model.get_metadata()
    for key in ("model_guid", "train_finish_time"):  # the only bytes that differ between two equal trainings
        metadata[key] = ""
    model.save_model(str(binary))
    model.save_model(str(numbers), format="json")
    exported = trees_from_catboost(json.loads(numbers.read_text()))
    numbers.write_text(json.dumps(exported))
    return trees_of(exported)
