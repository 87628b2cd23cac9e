import json

import grpc
import pytest
from keepwell.v1 import decision_service_pb2_grpc
from keepwell.v1.decision_service_pb2 import DecideRequest

from tests.conftest import start_server


def test_a_decision_is_logged_with_its_own_calls_tenant_and_ids(
    store_url: str, tenant: str, capfd: pytest.CaptureFixture[str]
) -> None:
    running = start_server("--redis-url", store_url, environment={"KEEPWELL_LOG_LEVEL": "info"})
    with grpc.insecure_channel(running.address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        asked = DecideRequest(request_id="r-1", lead_id="lead-1", churn_probability=0.5)
        metadata = (("x-keepwell-tenant", tenant), ("x-request-id", "call-1"))
        decision_id = stub.Decide(asked, metadata=metadata).decision.decision_id
        again = (("x-keepwell-tenant", tenant), ("x-request-id", "call-2"))
        assert stub.Decide(asked, metadata=again).replayed
    assert running.stop() == 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    decided = [line for line in lines if line["event"] == "decided"]
    told = {"level": "info", "tenant": tenant, "request_id": "r-1", "decision_id": decision_id}
    assert [
        {name: value for name, value in line.items() if name not in {"event", "timestamp"}} for line in decided
    ] == [
        {**told, "correlation_id": "call-1", "replayed": False},
        {**told, "correlation_id": "call-2", "replayed": True},
    ]
    assert not [line for line in lines if "lead-1" in json.dumps(line)]
