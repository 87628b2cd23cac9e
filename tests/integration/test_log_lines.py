import json

import grpc
import pytest
from keepwell.v1 import decision_service_pb2_grpc
from keepwell.v1.decision_pb2 import Features
from keepwell.v1.decision_service_pb2 import DecideRequest, ListDecisionsRequest
from keepwell.v1.lead_pb2 import LeadProfile

from tests.conftest import start_server

ADDRESS = "jane.doe@example.com"


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


def test_a_refusal_is_logged_by_its_reason_and_field_and_without_what_the_caller_sent(
    store_url: str, tenant: str, capfd: pytest.CaptureFixture[str]
) -> None:
    running = start_server("--redis-url", store_url, environment={"KEEPWELL_LOG_LEVEL": "info"})
    profiles = [LeadProfile(attributes={key: "fine"}) for key in (ADDRESS, f'a"].{ADDRESS}["b')]
    profiles.append(LeadProfile(contacts={f"{ADDRESS} {number}": ADDRESS for number in range(5_000)}))
    asked = [DecideRequest(lead_id="lead", profile=profile) for profile in profiles]
    asked.append(DecideRequest(lead_id="lead", features=Features(categories={"plan": ADDRESS})))
    asked.append(DecideRequest(lead_id=f"{ADDRESS} ", churn_probability=2))
    told = []
    with grpc.insecure_channel(running.address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        for request in asked:
            with pytest.raises(grpc.RpcError) as error:
                stub.Decide(request, metadata=(("x-keepwell-tenant", tenant),))
            told.append(str(error.value.details()))
        with pytest.raises(grpc.RpcError):
            stub.ListDecisions(ListDecisionsRequest(lead_id="lead", page_token=ADDRESS))
    assert running.stop() == 0
    assert told[0].startswith(f'profile.attributes["{ADDRESS}"]: must be named by')
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    refused = [each for each in map(json.loads, lines) if each["event"] == "rpc_refused"]
    assert [(each["code"], each["reason"], each["error"]) for each in refused] == [
        ("INVALID_ARGUMENT", "INVALID_FIELD", "profile.attributes[*]"),
        ("INVALID_ARGUMENT", "INVALID_FIELD", "profile.attributes[*]"),
        ("INVALID_ARGUMENT", "INVALID_FIELD", "profile.contacts[*]; and 4999 more"),
        ("INVALID_ARGUMENT", "INVALID_FIELD", "features.categories[*]"),
        ("INVALID_ARGUMENT", "INVALID_FIELD", "lead_id; and 1 more"),
        ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID", "page_token was not issued by ListDecisions"),
    ]
    assert not [line for line in lines if "jane" in line]
    assert max(map(len, lines)) < 1_000
