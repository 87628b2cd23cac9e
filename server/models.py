"""The model that scores: loaded, checked in a disposable process, or replaced by the fallback with a reason."""

from pathlib import Path

import structlog

from model.canary import check_artifact
from model.fallback import FallbackScorer
from model.scorer import ModelArtifactError, Scorer
from server.road.assess import Model

SHIPPED = Path(__file__).resolve().parent.parent / "model" / "artifacts" / "default"
CANARY_SECONDS = 30.0
log = structlog.get_logger()


class Models:
    """Keeps the scoring model, and the fallback, by version."""

    def __init__(self, folder: Path | None) -> None:
        self.current = _load(folder or SHIPPED)
        fallback = Model(FallbackScorer(), "fallback")
        self._by_version = {fallback.scorer.version: fallback, self.current.scorer.version: self.current}

    def by_version(self, version: str) -> Model | None:
        """Return a model by its version; the current one for "", None when it is not at hand."""
        return self._by_version.get(version) if version else self.current


def _load(folder: Path) -> Model:
    try:
        scorer = Scorer.load(folder)
        # A damaged CatBoost file can crash the process that reads it: a child reads it first.
        check_artifact(folder, CANARY_SECONDS)
    except ModelArtifactError as error:
        log.error("model_refused", folder=str(folder), reason=str(error))  # noqa: TRY400 (the reason is the message)
        return Model(FallbackScorer(), f"model not loaded: {error}")
    log.info("model_loaded", version=scorer.version)
    return Model(scorer)
