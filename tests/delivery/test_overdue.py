"""A manager who does not answer, and the director who is told then."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell_client import Client

from server.store.embedded import EmbeddedStore
from tests.conftest import start_server
from tests.delivery.conftest import POLICY
from tests.delivery.desk import CRITICAL, SECRET, Desk
from tests.delivery.provider import Provider
from tests.delivery.workers import PATIENCE_SECONDS, Workers

pytestmark = pytest.mark.workers


@pytest.fixture
def desk(tmp_path: Path, tenant: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """The deliveries of a service whose time is told; its store is its own, since escalations fall due in it by themselves."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    store = EmbeddedStore.start(tmp_path / "store")
    running = start_server("--redis-url", store.url, "--clock", "manual", "--policy", str(POLICY))
    yield Desk(running.address, tenant, tmp_path)
    assert running.stop() == 0
    store.stop()


def move_clock(desk: Desk, now: datetime) -> None:
    with Client(desk.address, desk.tenant, metadata=[("x-keepwell-now", now.isoformat())]) as client:
        client.preview(DecideRequest(lead_id="lead"))


def until_told(provider: Provider, times: int) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while len(provider.asked) < times:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_director_is_told_once_the_manager_has_not_acknowledged_for_an_hour(
    desk: Desk, provider: Provider, workers: Workers
) -> None:
    for target in ("manager", "director"):
        hook = {"kind": "webhook", "url": f"{provider.url}/{target}", "secret": "env:WEBHOOK_SECRET"}
        desk.settings.setdefault("escalations", {})[target] = hook
    escalation = desk.decide(probability=CRITICAL).escalation
    workers.start()
    until_told(provider, 1)
    move_clock(desk, escalation.due_time.ToDatetime(UTC))
    until_told(provider, 2)
    workers.finish()
    assert [asked.path for asked in provider.asked] == ["/manager", "/director"]
    name = escalation.escalation_id
    assert [asked.headers["webhook-id"] for asked in provider.asked] == [f"{name}.1", f"{name}.2"]
