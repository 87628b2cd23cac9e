"""The part of ModelService that takes models in: nothing of an upload is kept before all of it is there and was found to score."""

import asyncio
from collections.abc import AsyncIterator

from keepwell.v1 import model_service_pb2 as messages

from model.scorer import ModelArtifactError
from server.artifact import Assembly
from server.errors import ModelRefusedError, OverloadedError
from server.metrics import MODEL_LOADS
from server.models import ModelShelf
from server.services.store_errors import store_errors
from server.store.connection import Store
from server.store.models import register

AT_ONCE = 2  # each may hold an artifact's worth of memory
RECEIVE_SECONDS = 120.0


class ModelUpload:
    """Takes artifacts in, a few at a time."""

    def __init__(self, client: Store, shelf: ModelShelf, retention_ms: int) -> None:
        self._client = client
        self._shelf = shelf
        self._retention_ms = retention_ms
        self._under_way = 0

    async def receive(self, requests: AsyncIterator[messages.UploadModelRequest], tenant: str) -> str:
        """Register the artifact that comes in, and return its version.

        Raises:
            ModelRefusedError: It is not one that can score; nothing was registered.
            OverloadedError: Others are coming in.

        """
        if self._under_way == AT_ONCE:
            raise OverloadedError(f"{AT_ONCE} models are coming in already")
        self._under_way += 1
        try:
            assembly = await _received(requests)
            await self._register(assembly, tenant)
        finally:
            self._under_way -= 1
        return assembly.version

    async def _register(self, assembly: Assembly, tenant: str) -> None:
        artifact = await asyncio.to_thread(assembly.whole)
        try:
            await self._shelf.prepare(artifact, assembly.version, canary=True)
        except ModelArtifactError as error:
            MODEL_LOADS.labels("refused").inc()
            raise ModelRefusedError(str(error)) from error
        with store_errors():
            await register(self._client, tenant, assembly.version, artifact, self._retention_ms)


async def _received(requests: AsyncIterator[messages.UploadModelRequest]) -> Assembly:
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            return await _assemble(requests)
    except TimeoutError as error:
        raise ModelRefusedError(f"the artifact did not arrive within {RECEIVE_SECONDS:.0f} s") from error


async def _assemble(requests: AsyncIterator[messages.UploadModelRequest]) -> Assembly:
    assembly: Assembly | None = None
    async for request in requests:
        part = request.WhichOneof("part")
        if assembly is None:
            if part != "manifest":
                raise ModelRefusedError("the first message must be the manifest")
            assembly = Assembly(request.manifest)
        elif part != "chunk":
            raise ModelRefusedError("every message after the first must be a chunk of a file")
        else:
            assembly.add(request.chunk.file, request.chunk.data)
    if assembly is None:
        raise ModelRefusedError("nothing was sent")
    return assembly
