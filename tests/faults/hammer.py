"""A caller in a process of its own: asks for many decisions about one lead at once, and repeats until each is answered.

`python hammer.py ADDRESSES TENANT LEAD PREFIX COUNT` prints one JSON line for each request: its id, decision id and granted interventions.
"""

from __future__ import annotations  # the asynchronous stub is a type only

import asyncio
import json
import sys

import grpc
from grpc import aio
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc

IN_FLIGHT = 500
ATTEMPTS = 400


async def ask(
    stubs: list[decision_service_pb2_grpc.DecisionServiceAsyncStub],
    request: decision_service_pb2.DecideRequest,
    tenant: str,
) -> str:
    for attempt in range(ATTEMPTS):
        stub = stubs[(attempt + hash(request.request_id)) % len(stubs)]
        try:
            response = await stub.Decide(request, timeout=10, metadata=(("x-keepwell-tenant", tenant),))
        except aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            await asyncio.sleep(0.05)
            continue
        decision = response.decision
        granted = [action.intervention_id for action in decision.interventions]
        return json.dumps({"request": request.request_id, "decision": decision.decision_id, "granted": granted})
    raise RuntimeError(f"{request.request_id} was never answered")


async def main() -> None:
    addresses, tenant, lead, prefix, count = sys.argv[1:]
    channels = [aio.insecure_channel(address) for address in addresses.split(",")]
    stubs = [decision_service_pb2_grpc.DecisionServiceStub(channel) for channel in channels]
    room = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> str:
        request = decision_service_pb2.DecideRequest(
            request_id=f"{prefix}-{number}", lead_id=lead, churn_probability=0.5
        )
        async with room:
            return await ask(stubs, request, tenant)  # type: ignore[arg-type]

    for line in await asyncio.gather(*(one(number) for number in range(int(count)))):
        print(line)
    for channel in channels:
        await channel.close()


asyncio.run(main())
