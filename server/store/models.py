"""Models in the store: a tenant's artifacts, which of them scores, and those that replicas came with.

An artifact is registered, and made the one that scores, by one atomic script each. What is read back is not trusted here: who loads it checks
its hashes.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import TimeoutError as StoreTimeoutError

from server.errors import CommitUnknownError, EtagMismatchError, IdempotencyMismatchError, TooManyModelsError
from server.store.connection import Store
from server.store.keys import (
    MODEL_TENANTS_KEY,
    model_active_key,
    model_key,
    models_key,
    models_left_key,
    request_key,
    shipped_model_key,
)
from server.store.scripts import ACTIVATE_MODEL, REGISTER_MODEL

KEPT_MODELS = 64
KEPT_BEFORE = 16  # versions that one can go back to
REQUEST_SECONDS = 86_400 + 3_600

Files = dict[str, bytes]  # an artifact: every file by its name, the manifest among them


class Scoring(NamedTuple):
    """What scores for a tenant: versions, newest activation first (none: the shipped model), as of a revision."""

    revision: int = 0
    versions: tuple[str, ...] = ()

    @property
    def active(self) -> str:
        """The version that scores; "" is the shipped model."""
        return self.versions[0] if self.versions else ""

    @property
    def etag(self) -> str:
        """What a conditional change names."""
        return str(self.revision)

    def activate(self, version: str) -> "Scoring":
        """Return what scores after a version took over."""
        return Scoring(self.revision + 1, (version, *self.versions)[: KEPT_BEFORE + 1])

    def roll_back(self) -> "Scoring":
        """Return what scores after going back to the version before."""
        return Scoring(self.revision + 1, self.versions[1:])


class Registered(NamedTuple):
    """A model of a tenant, and when it came in, in ms; None for a shipped one that never did."""

    version: str
    came_at: int | None


def _parse(stored: bytes | None) -> Scoring:
    if not stored:
        return Scoring()
    revision, *versions = stored.decode().split(" ")
    return Scoring(int(revision), tuple(versions))


def _text(scoring: Scoring) -> str:
    return " ".join((str(scoring.revision), *scoring.versions)) if scoring.revision else ""


async def register(client: Store, tenant: str, version: str, artifact: Files, retention_ms: int) -> None:
    """Keep an artifact, whole or not at all.

    Raises:
        TooManyModelsError: The tenant keeps as many as it may, and none can go.

    """
    keys = (model_key(tenant, version), models_key(tenant), models_left_key(tenant), model_active_key(tenant))
    files = [part for item in artifact.items() for part in item]
    # First, so that no model can ever be active without the replicas looking.
    await client.sadd(MODEL_TENANTS_KEY, tenant)
    arguments = (version, KEPT_MODELS, retention_ms, model_key(tenant, ""), *files)
    if await _change(client, REGISTER_MODEL, keys, arguments) == b"FULL":
        raise TooManyModelsError(f"a tenant keeps {KEPT_MODELS} models, and each of them may still be needed")


async def keep_shipped(client: Store, version: str, artifact: Files) -> None:
    """Keep the artifact that this replica came with: decisions name its version, and a later release may bring another."""
    if not await client.exists(shipped_model_key(version)):
        await client.hset(shipped_model_key(version), mapping=artifact)


async def read_artifact(client: Store, tenant: str, version: str) -> Files | None:
    """Return an artifact of the tenant, or one that a replica came with; None when the store has neither."""
    for key in (model_key(tenant, version), shipped_model_key(version)):
        found = await client.hgetall(key)
        if found:
            return {name.decode(): data for name, data in found.items()}
    return None


async def read_manifests(client: Store, tenant: str, versions: list[str]) -> list[bytes | None]:
    """Return the manifests of some of a tenant's artifacts, without their other files."""
    pipeline = client.pipeline(transaction=False)
    for version in versions:
        pipeline.hget(model_key(tenant, version), "manifest.json")
    found: list[bytes | None] = await pipeline.execute()
    return found


async def registered(client: Store, tenant: str) -> list[Registered]:
    """Return all models of a tenant, newest first."""
    found = await client.zrevrange(models_key(tenant), 0, -1, withscores=True)
    return [Registered(version.decode(), int(came_at)) for version, came_at in found]


async def scoring_of(client: Store, tenant: str) -> Scoring:
    """Return what scores for a tenant."""
    return _parse(await client.get(model_active_key(tenant)))


async def scoring_of_all(client: Store) -> dict[str, Scoring]:
    """Return what scores for every tenant that ever brought a model in, in two round trips."""
    tenants = sorted(tenant.decode() for tenant in await client.smembers(MODEL_TENANTS_KEY))
    pipeline = client.pipeline(transaction=False)
    for tenant in tenants:
        pipeline.get(model_active_key(tenant))
    return dict(zip(tenants, map(_parse, await pipeline.execute()), strict=True))


async def change_scoring(
    client: Store, tenant: str, before: Scoring, after: Scoring, request_id: str, fingerprint: bytes
) -> bool:
    """Make `after` what scores, if `before` still is; return False when the same request did so earlier.

    Raises:
        EtagMismatchError: Something else scores by now.
        IdempotencyMismatchError: The request id was used for another request.

    """
    keys = [model_active_key(tenant), models_left_key(tenant)]
    if request_id:
        keys.append(request_key(tenant, request_id))
    left = before.active if before.active != after.active else ""
    arguments = (_text(before), _text(after), left, fingerprint, REQUEST_SECONDS)
    answer = await _change(client, ACTIVATE_MODEL, keys, arguments)
    if answer == b"CHANGED":
        raise EtagMismatchError((await scoring_of(client, tenant)).etag)
    if answer == b"OTHER":
        raise IdempotencyMismatchError
    return bool(answer == b"OK")


async def was_done(client: Store, tenant: str, request_id: str, fingerprint: bytes) -> bool:
    """Return whether this very request changed what scores before; raises IdempotencyMismatchError when another one had its id."""
    known = await client.get(request_key(tenant, request_id)) if request_id else None
    if known not in (None, fingerprint):
        raise IdempotencyMismatchError
    return known is not None


async def _change(client: Store, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Run a script once; raises CommitUnknownError when the store did not say what came of it."""
    try:
        return await client.eval(script, len(keys), *keys, *arguments)
    except (StoreConnectionError, StoreTimeoutError, OSError) as error:
        raise CommitUnknownError("the store did not confirm; ask for the model to see whether it was done") from error
