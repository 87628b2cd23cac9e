"""Activation: another model takes over, here first, and on every replica that follows the store.

A model is loaded from the store's own bytes, hash-checked and tried in a child process before it is made the one that scores. Replicas ask the
store twice a second what scores; what they find there has passed all of that, so they check its hashes and smoke vectors alone.
"""

import asyncio
from typing import NamedTuple

import structlog

from model.scorer import ModelArtifactError
from server.errors import EtagMismatchError, ModelNotFoundError, ModelNotLoadedError, NoModelBeforeError
from server.metrics import MODELS_BEHIND
from server.models import SHIPPED_VERSION, ModelShelf
from server.road.assessed import Model
from server.store.connection import Store
from server.store.models import (
    Scoring,
    change_scoring,
    register,
    registered,
    scoring_of,
    scoring_of_all,
    was_done,
)
from server.turns import take_turns

FOLLOW_SECONDS = 0.5
RETRY_SECONDS = 30.0
log = structlog.get_logger()


class Change(NamedTuple):
    """A wish for another model: under which condition, and which request it belongs to."""

    etag: str
    request_id: str
    fingerprint: bytes


class Activation:
    """Keeps what scores here and what the store says together."""

    def __init__(self, client: Store, shelf: ModelShelf, retention_ms: int) -> None:
        self._client = client
        self._shelf = shelf
        self._retention_ms = retention_ms
        self._retry_at: dict[str, tuple[Scoring, float]] = {}  # tenants whose model cannot be loaded here

    async def activate(self, tenant: str, version: str, change: Change) -> None:
        """Let a version score.

        Raises:
            ModelNotFoundError: The tenant has no such model.
            ModelNotLoadedError: It cannot be loaded; nothing was changed.
            EtagMismatchError: Another change came first.

        """
        if await was_done(self._client, tenant, change.request_id, change.fingerprint):
            return
        before = await scoring_of(self._client, tenant)
        await self._check_known(tenant, version)
        after = before if version == before.active else before.activate(version)
        await self._take_over(tenant, before, after, change)

    async def roll_back(self, tenant: str, change: Change) -> None:
        """Let the version before score; raises as `activate` does, and NoModelBeforeError."""
        if await was_done(self._client, tenant, change.request_id, change.fingerprint):
            return
        before = await scoring_of(self._client, tenant)
        if not before.versions:
            raise NoModelBeforeError("what scores is the model that the service came with; there is none before it")
        await self._take_over(tenant, before, before.roll_back(), change)

    async def _check_known(self, tenant: str, version: str) -> None:
        """Raise ModelNotFoundError unless the tenant has the model; the shipped one becomes the tenant's own, and so outlives the release."""
        if version in {each.version for each in await registered(self._client, tenant)}:
            return
        shipped = self._shelf.shipped
        if version != shipped.scorer.version or shipped.fault:
            raise ModelNotFoundError
        await register(self._client, tenant, version, await self._shelf.shipped_files(), self._retention_ms)

    async def _take_over(self, tenant: str, before: Scoring, after: Scoring, change: Change) -> None:
        if change.etag and change.etag != before.etag:
            raise EtagMismatchError(before.etag)
        try:
            model = await self._shelf.load(tenant, after.active, canary=True)
        except ModelArtifactError as error:
            log.error("model_kept", tenant=tenant, refused=after.active, reason=str(error))  # noqa: TRY400
            raise ModelNotLoadedError(after.active, str(error)) from error
        if await change_scoring(self._client, tenant, before, after, change.request_id, change.fingerprint):
            self._shelf.use(tenant, after, model)

    async def follow_for_ever(self) -> None:
        """Follow the store."""
        await take_turns("models", self.follow, FOLLOW_SECONDS)

    async def follow(self) -> bool:
        """Let score here what the store says, tenant by tenant; what cannot be loaded keeps the model before it, and is tried again later.

        Return that there is no more to do.
        """
        for tenant, scoring in (await scoring_of_all(self._client)).items():
            if self._shelf.in_use(tenant).scoring != scoring or tenant in self._retry_at:
                await self._follow(tenant, scoring)
        MODELS_BEHIND.set(len(self._retry_at))
        return False

    async def _follow(self, tenant: str, scoring: Scoring) -> None:
        now = asyncio.get_running_loop().time()
        failed, retry_at = self._retry_at.get(tenant, (None, 0.0))
        if failed == scoring and now < retry_at:
            return
        model, problem = await self._loadable(tenant, scoring)
        if problem:
            self._retry_at[tenant] = (scoring, now + RETRY_SECONDS)
        else:
            self._retry_at.pop(tenant, None)
        self._shelf.use(tenant, scoring, model, problem)

    async def _loadable(self, tenant: str, scoring: Scoring) -> tuple[Model, str]:
        """Return what the store says, or else what scores already, or in a new process the last that can be loaded; and why."""
        problem = ""
        for version in (*scoring.versions, SHIPPED_VERSION):
            try:
                return await self._shelf.load(tenant, version, canary=False), problem
            except ModelArtifactError as error:
                log.error("model_kept", tenant=tenant, refused=version, reason=str(error))  # noqa: TRY400
                problem = problem or str(error)
            known = self._shelf.in_use(tenant)
            if known.scoring.revision:
                return known.model, problem
        return self._shelf.model_of(tenant), problem
