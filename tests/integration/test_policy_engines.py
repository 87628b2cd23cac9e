"""The engines of policies that a reload replaces: kept until no batch holds them, and then freed."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import durable_rules_engine as durable
import pytest
from grpc import aio
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc
from prometheus_client import REGISTRY

from server.app import App
from server.policies import SHIPPED
from server.settings import Settings
from server.store.embedded import EmbeddedStore


class Engines:
    """The C module, with a count of the rulesets that it holds."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.held: set[int] = set()
        self.made = 0
        self.refused = 0  # which one, counted from 1, cannot be made

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)

    def create_ruleset(self, name: str, definition: str) -> int:
        if self.made + 1 == self.refused:
            self.refused = 0
            raise MemoryError("no engine")
        handle: int = self._module.create_ruleset(name, definition)
        self.held.add(handle)
        self.made += 1
        return handle

    def delete_ruleset(self, handle: int) -> None:
        self._module.delete_ruleset(handle)
        self.held.remove(handle)


def batches() -> float:
    """Return how many batches have set out."""
    return REGISTRY.get_sample_value("keepwell_batch_jobs_count") or 0.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something of which nobody tells."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    counted = Engines(durable)
    monkeypatch.setattr("rules.engine.durable", counted)
    return counted


@pytest.mark.timeout(60)
def test_a_batch_on_the_road_is_decided_by_the_engine_it_began_with_which_is_freed_after_it(
    tmp_path: Path, engines: Engines
) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    assert store.pid is not None
    policy = tmp_path / "policy.yaml"
    policy.write_text(SHIPPED.read_text())

    async def reload_under_a_call(pid: int) -> tuple[str, str]:
        app = App(Settings(listen="127.0.0.1:0", policy=policy, store_timeout_seconds=30, reviews=False), store.url)
        port = await app.start()
        before = batches()
        try:
            async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                stub: Any = decision_service_pb2_grpc.DecisionServiceStub(channel)
                os.kill(pid, signal.SIGSTOP)  # the call waits for what is known of its lead
                call = stub.Decide(messages.DecideRequest(lead_id="lead", churn_probability=0.5))
                await until(lambda: batches() > before)
                policy.write_text(SHIPPED.read_text().replace("name: default", "name: second"))
                reload = asyncio.create_task(app.reload_policies())
                await until(lambda: app.shelf.policy_of("default").name == "second")
                os.kill(pid, signal.SIGCONT)
                first = (await call).decision.policy_name
                await reload
                assert len(engines.held) == 1
                second = await stub.Decide(messages.DecideRequest(lead_id="lead", churn_probability=0.5))
                return first, second.decision.policy_name
        finally:
            os.kill(pid, signal.SIGCONT)
            await app.stop()

    try:
        assert asyncio.run(reload_under_a_call(store.pid)) == ("default", "second")
        assert engines.made == 2
        assert engines.held == set()
    finally:
        store.stop()


@pytest.mark.timeout(60)
def test_an_engine_that_cannot_be_made_keeps_its_policy_and_all_others_are_reloaded(
    tmp_path: Path, store_url: str, engines: Engines
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    files = {"": tmp_path / "policy.yaml", "acme": own / "acme.yaml", "zeta": own / "zeta.yaml"}

    def write(generation: int) -> None:
        for tenant, path in files.items():
            path.write_text(SHIPPED.read_text().replace("name: default", f"name: {tenant or 'common'}-{generation}"))

    async def reload_with_a_fault() -> list[str]:
        write(1)
        settings = Settings(listen="127.0.0.1:0", policy=files[""], policy_dir=own, reviews=False)
        app = App(settings, store_url)
        await app.start()
        try:
            write(2)
            engines.refused = engines.made + 2
            await app.reload_policies()
            assert len(engines.held) == engines.made - 2
            return [app.shelf.policy_of(tenant).name for tenant in ("other", "acme", "zeta")]
        finally:
            await app.stop()

    assert asyncio.run(reload_with_a_fault()) == ["common-2", "acme-1", "zeta-2"]
    assert engines.held == set()
