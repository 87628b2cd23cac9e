"""Many calls at once: each is answered, or refused with a reason."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

from grpc import StatusCode, aio
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc

CONNECTIONS, CALLS = 4, 4_000


async def test_4000_calls_that_come_at_once_are_all_answered(server: str, tenant: str) -> None:
    async def code_of(channel: aio.Channel, number: int) -> StatusCode:
        request = decision_service_pb2.DecideRequest(lead_id=f"lead-{number}", churn_probability=0.5)
        stub: Any = decision_service_pb2_grpc.DecisionServiceStub(channel)
        call = stub.Decide(request, metadata=(("x-keepwell-tenant", tenant),), timeout=60)
        code: StatusCode = await call.code()
        return code

    async with contextlib.AsyncExitStack() as stack:
        own = [("grpc.use_local_subchannel_pool", 1)]
        channels = [
            await stack.enter_async_context(aio.insecure_channel(server, options=own)) for _ in range(CONNECTIONS)
        ]
        codes = await asyncio.gather(*(code_of(channels[number % CONNECTIONS], number) for number in range(CALLS)))
    assert Counter(codes) == {StatusCode.OK: 4_000}
