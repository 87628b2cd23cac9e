"""One tenant whose leads are escalated, at a time that is told."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, cast

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import escalation_service_pb2 as messages
from keepwell.v1 import escalation_service_pb2_grpc

from server.store.connection import Store, connect
from tests.integration.outcomes import Caller, reason

OPEN, ACKNOWLEDGED = pb.ESCALATION_STATE_OPEN, pb.ESCALATION_STATE_ACKNOWLEDGED
RESOLVED, EXPIRED = pb.ESCALATION_STATE_RESOLVED, pb.ESCALATION_STATE_EXPIRED
HOUR = timedelta(hours=1)


class Escalations(Caller):
    """One tenant whose leads are escalated."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        super().__init__(channel, tenant)
        self.stub = escalation_service_pb2_grpc.EscalationServiceStub(channel)

    def call(self, method: str, request: Any) -> Any:
        return getattr(self.stub, method)(request, metadata=self.metadata)

    def raised(self, lead_id: str = "lead") -> str:
        return self.decide(lead_id, 0.9).escalation.escalation_id

    def get(self, escalation_id: str) -> pb.Escalation:
        return cast(
            "pb.Escalation", self.call("GetEscalation", messages.GetEscalationRequest(escalation_id=escalation_id))
        )

    def acknowledge(self, escalation_id: str, by: str = "Ann", request_id: str = "") -> pb.Escalation:
        request = messages.AcknowledgeEscalationRequest(escalation_id=escalation_id, by=by, request_id=request_id)
        return cast("pb.Escalation", self.call("AcknowledgeEscalation", request))

    def resolve(self, escalation_id: str, request_id: str = "", resolution: str = "") -> pb.Escalation:
        request = messages.ResolveEscalationRequest(
            escalation_id=escalation_id, request_id=request_id, resolution=resolution
        )
        return cast("pb.Escalation", self.call("ResolveEscalation", request))

    def reassign(self, escalation_id: str, target: str, request_id: str = "") -> pb.Escalation:
        request = messages.ReassignEscalationRequest(escalation_id=escalation_id, target=target, request_id=request_id)
        return cast("pb.Escalation", self.call("ReassignEscalation", request))

    def page(self, **filters: Any) -> messages.ListEscalationsResponse:
        return cast(
            "messages.ListEscalationsResponse", self.call("ListEscalations", messages.ListEscalationsRequest(**filters))
        )

    def leads(self, **filters: Any) -> list[str]:
        return sorted(each.lead_id for each in self.page(**filters).escalations)

    def watch(self, token: str = "") -> Iterator[messages.WatchEscalationsResponse]:
        request = messages.WatchEscalationsRequest(resume_token=token)
        return iter(self.stub.WatchEscalations(request, metadata=self.metadata, timeout=30))

    def move_clock(self, by: timedelta) -> None:
        self.now += by
        self.preview()


def until(changes: Iterator[messages.WatchEscalationsResponse], escalation_id: str, **wanted: int) -> pb.Escalation:
    """Return the next change of an escalation after which these fields have these values."""
    for response in changes:
        for each in response.escalations:
            if each.escalation_id == escalation_id and all(getattr(each, f) == v for f, v in wanted.items()):
                return each
    raise AssertionError("the stream ended")


def refused(call: Callable[[], Any]) -> tuple[str, dict[str, str]]:
    """Return the reason for which a call was refused, and its metadata."""
    with pytest.raises(grpc.RpcError) as error:
        call()
    status = rpc_status.from_call(cast("grpc.Call", error.value))
    assert status is not None
    info = ErrorInfo()
    status.details[0].Unpack(info)
    return reason(status), dict(info.metadata)


def with_store(url: str, use: Callable[[Store], Any]) -> Any:
    async def run() -> Any:
        store = connect(url, timeout_seconds=2)
        try:
            return await use(store.commit)
        finally:
            await store.aclose()

    return asyncio.run(run())
