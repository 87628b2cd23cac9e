"""Servers that some of the integration tests share."""

from collections.abc import Iterator

import grpc
import pytest

from server.policies import SHIPPED
from server.store.embedded import EmbeddedStore
from tests.conftest import Running, free_port, start_server
from tests.integration.escalations import Escalations
from tests.integration.subscriptions import Work


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A store that one module's tests may set up as they like."""
    started = EmbeddedStore.start(tmp_path_factory.mktemp("own"))
    yield started
    started.stop()


@pytest.fixture(scope="session")
def escalation_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store whose servers do by themselves what falls due, so not the one that all other tests share."""
    store = EmbeddedStore.start(tmp_path_factory.mktemp("escalations"))
    yield store.url
    store.stop()


@pytest.fixture(scope="session")
def replicas(escalation_store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Two servers with a manual clock that escalate as many leads as there are."""
    policy = tmp_path_factory.mktemp("policy") / "all.yaml"
    text = SHIPPED.read_text().replace("holdout: {percent: 5,", "holdout: {percent: 0,")
    # Reviews would decide again by themselves; here only escalations are to fall due.
    for often in ("early_warning: 24h", "active_risk: 6h", "critical_risk: 1h", "none: 7d"):
        text = text.replace(often, f"{often.partition(':')[0]}: 90d")
    policy.write_text(text.replace("max_share: 0.05", "max_share: 1.0"))
    options = ["--redis-url", escalation_store, "--clock", "manual", "--policy", str(policy)]
    running = [start_server(*options), start_server(*options, port=free_port())]
    yield running
    assert [each.stop() for each in running] == [0, 0]


@pytest.fixture
def escalations(replicas: list[Running], tenant: str) -> Iterator[Escalations]:
    with grpc.insecure_channel(replicas[0].address) as channel:
        yield Escalations(channel, tenant)


@pytest.fixture
def work(channel: grpc.Channel, tenant: str) -> Work:
    return Work(channel, tenant)
