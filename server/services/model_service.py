"""ModelService: look at models, let one score, go back, score without deciding."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import structlog
from keepwell.v1 import model_service_pb2 as messages

from model.scorer import ModelArtifactError, Scorer, parse_manifest
from rules.stage import stage_of
from server.activation import Activation, Change
from server.caller import Caller
from server.convert.checks import Checker
from server.convert.model import ModelView, assessment_message, drift_message, model_message, subjects_of
from server.convert.request import fingerprint_of
from server.drift import Drift
from server.errors import ModelNotFoundError, PageTokenInvalidError
from server.models import ModelShelf
from server.policies import PolicyShelf
from server.road.assess import assess
from server.road.clock import ClockGuard
from server.rpc import Handler
from server.services.model_upload import ModelUpload
from server.services.store_errors import store_errors
from server.store.connection import Store
from server.store.models import Registered, Scoring, read_manifests, registered, scoring_of
from server.worker import Worker

PAGE_SIZE, LARGEST_PAGE = 20, 100
log = structlog.get_logger()


class ModelService:
    """Keeps the tenant's models."""

    def __init__(
        self,
        client: Store,
        shelf: ModelShelf,
        activation: Activation,
        drift: Drift,
        upload: ModelUpload,
        policies: PolicyShelf,
        guard: ClockGuard,
        worker: Worker,
    ) -> None:
        self._client = client
        self._shelf = shelf
        self._activation = activation
        self._drift = drift
        self._upload = upload
        self._policies = policies
        self._guard = guard
        self._worker = worker

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {
            "UploadModel": self.upload_model,
            "ListModels": self.list_models,
            "GetModel": self.get_model,
            "ActivateModel": self.activate_model,
            "RollbackModel": self.rollback_model,
            "Score": self.score,
        }

    async def upload_model(self, requests: Any, caller: Caller) -> messages.Model:
        """Bring a model in."""
        version = await self._upload.receive(requests, caller.tenant)
        log.info("model_registered", version=version)
        return await self._model(caller.tenant, version)

    async def list_models(self, request: messages.ListModelsRequest, caller: Caller) -> messages.ListModelsResponse:
        """List the tenant's models, newest first, and last the shipped one."""
        check = Checker()
        if not 0 <= request.page_size <= LARGEST_PAGE:
            check.note("page_size", f"must be 0 to {LARGEST_PAGE}")
        check.raise_if_any()
        with store_errors():
            scoring = await scoring_of(self._client, caller.tenant)
            known = await self._known(caller.tenant)
            first = _after(known, request.page_token)
            page = known[first : first + (request.page_size or PAGE_SIZE)]
            views = await self._views(caller.tenant, page, scoring)
        more = first + len(page) < len(known)
        return messages.ListModelsResponse(
            models=map(model_message, views), next_page_token=page[-1].version if more else ""
        )

    async def get_model(self, request: messages.GetModelRequest, caller: Caller) -> messages.Model:
        """Show one model, with its manifest and its drift."""
        _check_version(request.version)
        return await self._model(caller.tenant, request.version)

    async def activate_model(self, request: messages.ActivateModelRequest, caller: Caller) -> messages.Model:
        """Let a model score."""
        check = Checker()
        check.identifier("version", request.version)
        check.raise_if_any()
        with store_errors():
            await self._activation.activate(caller.tenant, request.version, _change(request))
        return await self._model(caller.tenant, request.version)

    async def rollback_model(self, request: messages.RollbackModelRequest, caller: Caller) -> messages.Model:
        """Let the model before score."""
        with store_errors():
            await self._activation.roll_back(caller.tenant, _change(request))
        return await self._model(caller.tenant, "")

    async def score(self, request: messages.ScoreRequest, caller: Caller) -> messages.ScoreResponse:
        """Score without deciding."""
        now = self._guard.estimate(caller.tenant, caller.clock)
        subjects = subjects_of(request.features)
        model = self._shelf.model_of(caller.tenant)
        scored = await self._worker.run(assess, model, subjects, now)
        policy = self._policies.policy_of(caller.tenant)
        stages = (await self._policies.compiled(caller.tenant, policy.version)).document.stages
        return messages.ScoreResponse(
            assessments=[
                assessment_message(assessed, stage_of(stages, assessed.assessment.churn_probability))
                for assessed in scored
            ]
        )

    async def _model(self, tenant: str, version: str) -> messages.Model:
        """Return one model whole; "" is the one that scores."""
        with store_errors():
            scoring = await scoring_of(self._client, tenant)
            shipped = self._shelf.shipped.scorer.version
            wanted = version or scoring.active or shipped
            row = next((each for each in await self._known(tenant) if each.version == wanted), None)
            if row is None:
                raise ModelNotFoundError
            (view,) = await self._views(tenant, [row], scoring)
            message = model_message(view)
            message.manifest = json.dumps(view.manifest) if view.manifest else ""
            await self._add_drift(message, tenant, view)
        return message

    async def _add_drift(self, message: messages.Model, tenant: str, view: ModelView) -> None:
        profile = view.manifest.get("profile")
        if profile is None:
            message.drift.unavailable_reason = "trained without a profile"
            return
        model = self._shelf.model_of(tenant)
        if model.scorer.version == view.version:
            await self._drift.count(tenant, model)
        message.drift.CopyFrom(drift_message(await self._drift.report(tenant, view.version, profile)))

    async def _known(self, tenant: str) -> list[Registered]:
        """Return the tenant's models, newest first, and the shipped one last unless it was brought in, too."""
        found = await registered(self._client, tenant)
        shipped = self._shelf.shipped.scorer.version
        return found if shipped in {each.version for each in found} else [*found, Registered(shipped, None)]

    async def _views(self, tenant: str, rows: list[Registered], scoring: Scoring) -> list[ModelView]:
        shipped = self._shelf.shipped.scorer
        active = scoring.active or shipped.version
        in_use = self._shelf.in_use(tenant)
        stored = await read_manifests(self._client, tenant, [row.version for row in rows])
        manifests = await asyncio.to_thread(lambda: list(map(_manifest, stored)))
        views = []
        for row, (manifest, problem) in zip(rows, manifests, strict=True):
            is_active, is_shipped = row.version == active, row.version == shipped.version
            if row.came_at is None:
                manifest, problem = _manifest_of(shipped), self._shelf.shipped.fault  # noqa: PLW2901 (the replica's own)
            if is_active and in_use.scoring == scoring:
                problem = problem or in_use.problem  # noqa: PLW2901
            views.append(ModelView(row.version, scoring.etag, manifest, is_active, is_shipped, row.came_at, problem))
        return views


def _change(request: messages.ActivateModelRequest | messages.RollbackModelRequest) -> Change:
    if request.request_id:
        check = Checker()
        check.identifier("request_id", request.request_id)
        check.raise_if_any()
    return Change(request.etag, request.request_id, fingerprint_of(request))


def _check_version(version: str) -> None:
    check = Checker()
    if version:
        check.identifier("version", version)
    check.raise_if_any()


def _after(known: list[Registered], page_token: str) -> int:
    """Return the place after the model that the token names."""
    if not page_token:
        return 0
    for place, row in enumerate(known):
        if row.version == page_token:
            return place + 1
    raise PageTokenInvalidError("page_token was not issued by ListModels, or its model is gone; start again without it")


def _manifest(stored: bytes | None) -> tuple[Mapping[str, Any], str]:
    """Return a manifest, or none and why."""
    try:
        return parse_manifest(stored or b""), ""
    except ModelArtifactError as error:
        return {}, str(error)


def _manifest_of(scorer: object) -> Mapping[str, Any]:
    return scorer.manifest if isinstance(scorer, Scorer) else {}
