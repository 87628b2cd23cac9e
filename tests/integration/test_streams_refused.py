"""A stream ends with the status of what went wrong in it, and one item's fault does not end it."""

import uuid
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status
from keepwell.v1 import decision_service_pb2_grpc
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideStreamRequest
from redis import Redis

from server.policies import SHIPPED
from server.store.keys import policy_key
from tests.conftest import start_server
from tests.integration.test_feed import reason_of


@pytest.mark.parametrize("method", ["DecisionService/DecideStream", "LeadService/StreamEvents"])
@pytest.mark.parametrize("before", [0, 3])
def test_bytes_that_are_no_message_end_a_stream_as_they_end_a_call(
    channel: grpc.Channel, tenant: str, method: str, before: int
) -> None:
    stream: Any = channel.stream_stream(f"/keepwell.v1.{method}")
    sent = iter([*[b""] * before, b"\xff\xff"])
    with pytest.raises(grpc.RpcError) as error:
        list(stream(sent, metadata=(("x-keepwell-tenant", tenant),), timeout=20))
    assert reason_of(error.value) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")


def reason_in(status: Status) -> str:
    info = ErrorInfo()
    assert status.details[0].Unpack(info)
    reason: str = info.reason
    return reason


def test_a_decision_whose_policy_the_store_cannot_give_is_unavailable_and_those_beside_it_are_made(
    tmp_path: Path, store_url: str, tenant: str
) -> None:
    metadata = (("x-keepwell-tenant", tenant),)
    policy = tmp_path / "policy.yaml"
    asked = DecideRequest(request_id="before", lead_id="lead", churn_probability=0.5)
    policy.write_text(SHIPPED.read_text().replace("name: default", f"name: {tenant}"))
    running = start_server("--redis-url", store_url, "--policy", str(policy))
    with grpc.insecure_channel(running.address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        decided = stub.Decide(asked, metadata=metadata).decision
    assert running.stop() == 0
    with Redis.from_url(store_url) as store:
        store.delete(policy_key(tenant, decided.policy_version))
        store.rpush(policy_key(tenant, decided.policy_version), "no text")
    running = start_server("--redis-url", store_url)
    with grpc.insecure_channel(running.address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        with pytest.raises(grpc.RpcError) as error:
            stub.Decide(asked, metadata=metadata)
        assert reason_of(error.value) == ("UNAVAILABLE", "STATE_UNAVAILABLE")
        new = DecideRequest(request_id=uuid.uuid4().hex, lead_id="another", churn_probability=0.5)
        (answer,) = stub.DecideStream(iter([DecideStreamRequest(requests=[asked, new])]), metadata=metadata)
    again, beside = answer.results
    assert (again.request_id, reason_in(again.error)) == ("before", "STATE_UNAVAILABLE")
    assert (beside.request_id, beside.decision.lead_id) == (new.request_id, "another")
    assert running.stop() == 0
