"""Artifacts to bring in: the shipped one with another calibration, which is another model with other scores, made in no time."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from keepwell.v1 import model_service_pb2 as messages
from keepwell.v1 import model_service_pb2_grpc

from model.drift import profile_of
from model.scorer import MANIFEST, Scorer, artifact_version
from model.training.snapshots import Snapshot
from server.artifact import read_folder
from server.models import SHIPPED
from server.store.models import Files

Change = Callable[[dict[str, Any]], None]


def changed(change: Change) -> tuple[str, Files]:
    """Return the version and the files of the shipped artifact after its manifest was changed, and made whole again."""
    files = read_folder(SHIPPED)
    manifest = json.loads(files[MANIFEST])
    change(manifest)
    manifest["version"] = artifact_version(manifest)
    return manifest["version"], {**files, MANIFEST: json.dumps(manifest).encode()}


def shifted(log_odds: float) -> tuple[str, Files]:
    """Return an artifact whose log-odds are the shipped one's and so much more."""

    def change(manifest: dict[str, Any]) -> None:
        manifest["calibration"]["intercept"] += log_odds

    return changed(change)


SILENCE_DAYS = 42


def profiled(leads: Snapshot) -> tuple[str, Files]:
    """Return an artifact that says it was trained on these leads."""
    scores = Scorer.load(SHIPPED).score(leads.numeric, leads.categories)
    profile = profile_of(leads.numeric, leads.categories, scores)
    silence = {"days": SILENCE_DAYS, "horizon_days": 30, "returned": [], "silences": []}
    return changed(lambda manifest: manifest.update(profile=profile, silence=silence))


def pieces(files: Files, size: int = 100_000) -> Iterator[messages.UploadModelRequest]:
    """Yield the messages of an upload."""
    yield messages.UploadModelRequest(manifest=files[MANIFEST])
    for name in files.keys() - {MANIFEST}:
        for first in range(0, len(files[name]), size):
            data = files[name][first : first + size]
            yield messages.UploadModelRequest(chunk=messages.ModelFileChunk(file=name, data=data))


class Models:
    """One tenant's models, over gRPC."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self._stub = model_service_pb2_grpc.ModelServiceStub(channel)
        self._metadata = (("x-keepwell-tenant", tenant),)

    def push(self, artifact: tuple[str, Files]) -> str:
        """Bring a model in; return its version."""
        return self.send(pieces(artifact[1])).version

    def send(self, requests: Iterator[messages.UploadModelRequest]) -> messages.Model:
        return self._stub.UploadModel(requests, metadata=self._metadata, timeout=60)

    def versions(self) -> list[str]:
        return [model.version for model in self.page().models]

    def page(self, size: int = 0, token: str = "") -> messages.ListModelsResponse:
        request = messages.ListModelsRequest(page_size=size, page_token=token)
        return self._stub.ListModels(request, metadata=self._metadata, timeout=10)

    def get(self, version: str = "") -> messages.Model:
        return self._stub.GetModel(messages.GetModelRequest(version=version), metadata=self._metadata, timeout=10)

    def activate(self, version: str, etag: str = "", request_id: str = "") -> messages.Model:
        request = messages.ActivateModelRequest(version=version, etag=etag, request_id=request_id)
        return self._stub.ActivateModel(request, metadata=self._metadata, timeout=60)

    def roll_back(self, etag: str = "", request_id: str = "") -> messages.Model:
        request = messages.RollbackModelRequest(etag=etag, request_id=request_id)
        return self._stub.RollbackModel(request, metadata=self._metadata, timeout=60)

    def score(self, request: messages.ScoreRequest) -> messages.ScoreResponse:
        return self._stub.Score(request, metadata=self._metadata, timeout=10)
