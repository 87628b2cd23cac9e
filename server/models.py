"""Which model scores for which tenant, and every model that ever did, by version.

A batch takes one reference to a `Model` and keeps it, so each decision is scored by exactly one version, whatever is activated meanwhile.
A tenant that has activated none is scored for by the shipped model, or by the fallback, with a reason, when that cannot be loaded.
"""

import asyncio
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import structlog

from model.fallback import FallbackScorer
from model.scorer import ModelArtifactError, Scorer
from server.artifact import check_hashes, load_artifact, load_folder, read_folder
from server.errors import ReplayUnavailableError
from server.metrics import MODEL_LOADS
from server.road.assessed import Model
from server.road.sample import Sample
from server.store.connection import Store
from server.store.models import Files, Scoring, keep_shipped, read_artifact

SHIPPED = Path(__file__).resolve().parent.parent / "model" / "artifacts" / "default"
SHIPPED_VERSION = ""  # whatever the replica came with
KEPT_LOADED = 16
log = structlog.get_logger()


class InUse(NamedTuple):
    """What scores for a tenant here; `problem` says why that is not what the store says."""

    scoring: Scoring
    model: Model
    problem: str = ""


class ModelShelf:
    """Holds the models in use; `use` swaps one."""

    def __init__(self, folder: Path | None, client: Store) -> None:
        self._client = client
        self._folder = folder or SHIPPED
        self.shipped = _load_shipped(self._folder)
        self._in_use: dict[str, InUse] = {}
        self._loaded: OrderedDict[str, Scorer] = OrderedDict()
        self._tried: set[str] = set()  # versions that CatBoost itself has read, in a process of its own

    def in_use(self, tenant: str) -> InUse:
        """Return what scores for a tenant."""
        known = self._in_use.get(tenant)
        if known is None:
            known = self._in_use[tenant] = InUse(Scoring(), self.shipped_for_a_tenant())
        return known

    def model_of(self, tenant: str) -> Model:
        """Return the model that scores for a tenant."""
        return self.in_use(tenant).model

    def shipped_for_a_tenant(self) -> Model:
        """Return the shipped model with a sample of its own."""
        return _with_sample(self.shipped)

    def all_in_use(self) -> list[tuple[str, Model]]:
        """Return what scores for every tenant that was decided for here."""
        return [(tenant, known.model) for tenant, known in self._in_use.items()]

    def use(self, tenant: str, scoring: Scoring, model: Model, problem: str = "") -> None:
        """Let a model score from the next batch on; what the store said later stays."""
        known = self._in_use.get(tenant)
        if known is None or known.scoring.revision <= scoring.revision:
            self._in_use[tenant] = InUse(scoring, model, problem)
            log.info("model_active", tenant=tenant, version=model.scorer.version, revision=scoring.revision)

    async def keep_shipped(self) -> None:
        """Put the shipped model into the store, so that its decisions can be made again after a release with another."""
        if not self.shipped.fault:
            await keep_shipped(self._client, self.shipped.scorer.version, await self.shipped_files())

    async def shipped_files(self) -> Files:
        """Return the shipped artifact."""
        return await asyncio.to_thread(read_folder, self._folder)

    async def load(self, tenant: str, version: str, *, canary: bool) -> Model:
        """Return a model that is ready to score for a tenant, from the store's bytes as they are now.

        Raises:
            ModelArtifactError: The store does not have it, or has something else.

        """
        if version in (SHIPPED_VERSION, self.shipped.scorer.version):
            return self.shipped_for_a_tenant()
        artifact = await read_artifact(self._client, tenant, version)
        if artifact is None:
            raise ModelArtifactError("the store does not have it any more")
        try:
            scorer = await self.prepare(artifact, version, canary=canary)
        except ModelArtifactError:
            MODEL_LOADS.labels("refused").inc()
            raise
        MODEL_LOADS.labels("loaded").inc()
        return _with_sample(Model(scorer))

    async def prepare(self, artifact: Files, version: str, *, canary: bool) -> Scorer:
        """Return an artifact's scorer, loaded and tried, or as it was before; raises ModelArtifactError when it does not hold."""
        # The hashes say that it is the same artifact, so what was found out about it before still holds.
        await asyncio.to_thread(check_hashes, artifact, version)
        known = self._loaded.get(version)
        if known is None or (canary and version not in self._tried):
            known = await asyncio.to_thread(load_artifact, artifact, canary=canary)
        if canary:
            self._tried.add(version)
        self._loaded[version] = known
        self._loaded.move_to_end(version)
        while len(self._loaded) > KEPT_LOADED:
            self._loaded.popitem(last=False)
        return known

    async def for_replay(self, tenant: str, version: str) -> Model:
        """Return the model that a decision names, for making it again; "" is a decision by the caller's own probability.

        Raises:
            ReplayUnavailableError: It is gone for good, or damaged.

        """
        if version in ("", self.shipped.scorer.version):
            return self.shipped
        if version == FallbackScorer.version:
            return Model(FallbackScorer(), "fallback")
        known = self._loaded.get(version)
        if known is not None:
            self._loaded.move_to_end(version)
            return Model(known)
        try:
            return replace(await self.load(tenant, version, canary=False), sample=None)
        except ModelArtifactError as error:
            raise ReplayUnavailableError(f"model {version} is not at hand: {error}") from error


def _with_sample(model: Model) -> Model:
    scorer = model.scorer
    told = isinstance(scorer, Scorer) and "profile" in scorer.manifest
    return replace(model, sample=Sample() if told else None)


def _load_shipped(folder: Path) -> Model:
    try:
        scorer = load_folder(folder, canary=True)
    except ModelArtifactError as error:
        log.error("model_refused", folder=str(folder), reason=str(error))  # noqa: TRY400 (the reason is the message)
        return Model(FallbackScorer(), f"model not loaded: {error}")
    log.info("model_loaded", version=scorer.version)
    return Model(scorer)
