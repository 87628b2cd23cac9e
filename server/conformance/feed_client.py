"""What the feed's checks need of a service: decisions of their own, and streams that are read to a known end."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, cast

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc import aio
from grpc_status import rpc_status
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc, feed_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as messages

STREAM_SECONDS = 60.0
CALL_SECONDS = 10.0
HEARTBEAT = Duration(nanos=100_000_000)
# So many checkpoints without a decision, a tenth of a second apart, and nothing more is coming.
PATIENCE = 15
DECISIONS_A_BURST, PAUSE_SECONDS = 4, 0.15


class Item(NamedTuple):
    """One decision: whose, and which."""

    lead_id: str
    decision_id: str


class Refusal(NamedTuple):
    """How a call was refused."""

    code: str
    reason: str
    metadata: dict[str, str]


class FeedClient:
    """One tenant of a service."""

    def __init__(self, channel: aio.Channel, tenant: str) -> None:
        self._decisions: Any = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._feed: Any = feed_service_pb2_grpc.FeedServiceStub(channel)
        self._metadata = (("x-keepwell-tenant", tenant),)

    async def decide(self, lead_id: str) -> Item:
        """Have a decision made about a lead."""
        request = decision_service_pb2.DecideRequest(
            request_id=uuid.uuid4().hex, lead_id=lead_id, churn_probability=0.5
        )
        answer = await self._decisions.Decide(request, metadata=self._metadata, timeout=CALL_SECONDS)
        return Item(lead_id, answer.decision.decision_id)

    async def decide_all(self, wanted: messages.FeedFilter, count: int, made: list[Item]) -> None:
        """Have so many decisions made, one after the other, about the filter's leads in turn; each is noted in `made`.

        Now and then there is time for a checkpoint, so that some lie between decisions.
        """
        for number in range(count):
            made.append(await self.decide(wanted.lead_ids[number % len(wanted.lead_ids)]))
            if number % DECISIONS_A_BURST == 0:
                await asyncio.sleep(PAUSE_SECONDS)

    async def watch(
        self, start: messages.FeedStart, wanted: messages.FeedFilter
    ) -> AsyncIterator[messages.WatchDecisionsResponse]:
        """Yield what the feed sends; the stream ends when the caller stops."""
        request = messages.WatchDecisionsRequest(start=start, filter=wanted, heartbeat=HEARTBEAT)
        call = self._feed.WatchDecisions(request, metadata=self._metadata, timeout=STREAM_SECONDS)
        try:
            async for response in call:
                yield response
        finally:
            call.cancel()

    async def read(self, start: messages.FeedStart, wanted: messages.FeedFilter, expected: int) -> list[Item]:
        """Return everything from a start on: as much as is expected and what else comes, or what came until the feed fell silent."""
        found: list[Item] = []
        silence = 0
        async for response in self.watch(start, wanted):
            found += items_of(response)
            silence = 0 if response.decisions else silence + 1
            if response.checkpoint and (len(found) >= expected or silence > PATIENCE):
                break
        return found

    async def refusal(self, start: messages.FeedStart, wanted: messages.FeedFilter) -> Refusal | None:
        """Return how a start is refused; None when it is served."""
        try:
            async for _ in self.watch(start, wanted):
                return None
        except aio.AioRpcError as error:
            return _refusal(error)
        return None


def items_of(response: messages.WatchDecisionsResponse) -> list[Item]:
    """Return the decisions of a message."""
    return [Item(decision.lead_id, decision.decision_id) for decision in response.decisions]


def _refusal(error: aio.AioRpcError) -> Refusal:
    info = ErrorInfo()
    status = rpc_status.from_call(cast("grpc.Call", error))
    for detail in status.details if status is not None else ():
        detail.Unpack(info)
    return Refusal(error.code().name, info.reason, dict(info.metadata))
