"""A tenant whose keys are not what they have to be fails, and those whose decisions travel with its own do not."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc
from redis import Redis

from server.store.keys import Partition
from tests.integration.test_decision_service import call
from tests.integration.test_feed import reason_of

CALLS = 32


@pytest.fixture
def store(store_url: str) -> Iterator[Any]:
    with Redis.from_url(store_url) as client:
        yield client


def decided(channel: grpc.Channel, tenants: tuple[str, ...]) -> dict[str, set[object]]:
    """Return what became of many calls at once, by tenant: True, or the status and reason of a refusal."""
    stub = decision_service_pb2_grpc.DecisionServiceStub(channel)

    def decide(number: int) -> tuple[str, object]:
        tenant = tenants[number % len(tenants)]
        request = messages.DecideRequest(lead_id=f"lead-{number}", churn_probability=0.5)
        try:
            stub.Decide(request, metadata=call(tenant))
        except grpc.RpcError as error:
            return tenant, reason_of(error)
        return tenant, True

    found: dict[str, set[object]] = {tenant: set() for tenant in tenants}
    with ThreadPoolExecutor(CALLS) as pool:
        for tenant, outcome in pool.map(decide, range(4 * CALLS)):
            found[tenant].add(outcome)
    return found


@pytest.mark.parametrize(
    ("broken", "reason"), [("log", "COMMIT_UNKNOWN"), ("day:20260303", "STATE_UNAVAILABLE")], ids=["commit", "gather"]
)
def test_a_tenant_whose_keys_are_of_another_kind_fails_alone(
    channel: grpc.Channel, store: Any, tenant: str, broken: str, reason: str
) -> None:
    sound = f"{tenant}-sound"
    store.set(f"{Partition(tenant, 0).tag}:{broken}", "neither a stream nor a hash")
    assert decided(channel, (tenant, sound)) == {tenant: {("UNAVAILABLE", reason)}, sound: {True}}
