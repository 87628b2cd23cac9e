import asyncio
from collections.abc import Awaitable, Callable

import pytest

from server.errors import CommitUnknownError, EtagMismatchError, TooManyModelsError
from server.store.connection import Store, connect
from server.store.embedded import EmbeddedStore
from server.store.models import KEPT_MODELS, Scoring, change_scoring, read_artifact, register, registered, scoring_of

ARTIFACT = {"manifest.json": b"{}", "trees.json": bytes(range(256))}
A_DAY_MS = 86_400_000


def with_store(url: str, use: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = connect(url, timeout_seconds=2)
        try:
            await use(store.commit)
        finally:
            await store.aclose()

    asyncio.run(run())


async def fill(client: Store, tenant: str) -> None:
    """Register as many models as a tenant may keep; v0 came first."""
    for number in range(KEPT_MODELS):
        await register(client, tenant, f"v{number}", ARTIFACT, A_DAY_MS)
        await asyncio.sleep(0.001)  # so that each came in at an instant of its own


def test_an_artifact_comes_back_byte_for_byte(store_url: str, tenant: str) -> None:
    async def use(client: Store) -> None:
        await register(client, tenant, "a", ARTIFACT, A_DAY_MS)
        assert await read_artifact(client, tenant, "a") == ARTIFACT
        assert await read_artifact(client, "another", "a") is None

    with_store(store_url, use)


def test_a_full_registry_refuses_a_model_while_each_may_still_be_named_by_a_decision(
    store_url: str, tenant: str
) -> None:
    async def use(client: Store) -> None:
        await fill(client, tenant)
        with pytest.raises(TooManyModelsError, match="a tenant keeps 64 models"):
            await register(client, tenant, "new", ARTIFACT, A_DAY_MS)
        assert await read_artifact(client, tenant, "new") is None
        await register(client, tenant, "v63", ARTIFACT, A_DAY_MS)  # known already

    with_store(store_url, use)


def test_the_oldest_that_nothing_needs_makes_room(store_url: str, tenant: str) -> None:
    async def use(client: Store) -> None:
        await fill(client, tenant)
        before = Scoring()
        for version in ("v1", "v0"):  # v0 scores, and v1 can be gone back to
            after = before.activate(version)
            assert await change_scoring(client, tenant, before, after, "", b"")
            before = after
        await asyncio.sleep(0.005)
        await register(client, tenant, "new", ARTIFACT, retention_ms=0)
        kept = {each.version for each in await registered(client, tenant)}
        assert kept == {f"v{number}" for number in range(KEPT_MODELS) if number != 2} | {"new"}
        assert await read_artifact(client, tenant, "v2") is None

    with_store(store_url, use)


def test_of_two_changes_made_on_the_same_reading_one_counts(store_url: str, tenant: str) -> None:
    async def use(client: Store) -> None:
        read = await scoring_of(client, tenant)
        assert await change_scoring(client, tenant, read, read.activate("a"), "", b"")
        with pytest.raises(EtagMismatchError) as error:
            await change_scoring(client, tenant, read, read.activate("b"), "", b"")
        assert error.value.etag == "1"
        assert (await scoring_of(client, tenant)).active == "a"

    with_store(store_url, use)


def test_a_change_that_the_store_did_not_confirm_is_said_to_be_unknown(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    store = EmbeddedStore.start(tmp_path_factory.mktemp("gone"))

    async def use(client: Store) -> None:
        store.stop()
        with pytest.raises(CommitUnknownError):
            await change_scoring(client, "t", Scoring(), Scoring().activate("a"), "", b"")

    with_store(store.url, use)
