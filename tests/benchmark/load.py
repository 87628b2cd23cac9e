"""Callers: so many calls in flight on one channel, each checked. They run in the benchmark's own process, whose time does not count."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
from grpc import aio
from keepwell.v1 import decision_pb2, decision_service_pb2

from model.features import NUMERIC

UNARY = "/keepwell.v1.DecisionService/Decide"
STREAM = "/keepwell.v1.DecisionService/DecideStream"
NUMBERS_GIVEN = 20  # as the yardsticks of other systems were measured with


def requests(count: int, leads: int, tag: str, *, explain: bool = False) -> list[decision_service_pb2.DecideRequest]:
    """Return requests for random leads with twenty numbers and three categories; the same for the same arguments."""
    draw = np.random.default_rng(7)
    given = NUMERIC[:NUMBERS_GIVEN]
    made = []
    for number in range(count):
        values = np.minimum(np.abs(draw.normal(3, 3, len(given))), [min(feature.highest, 1e6) for feature in given])
        features = decision_pb2.Features(
            numbers={feature.name: float(value) for feature, value in zip(given, values, strict=True)},
            categories={"source": "portal", "segment": "buyer", "region": "NY"},
        )
        lead_id = f"lead-{draw.integers(leads)}"
        made.append(
            decision_service_pb2.DecideRequest(
                request_id=f"{tag}-{number}", lead_id=lead_id, features=features, explain=explain
            )
        )
    return made


async def one(address: str) -> bytes:
    """Return one answer, as bytes."""
    async with aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(UNARY)
        answer: bytes = await call(requests(1, 1, "one")[0].SerializeToString())
        return answer


async def unary(
    address: str, messages: Sequence[decision_service_pb2.DecideRequest], in_flight: int, check: bool
) -> list[float]:
    """Return each call's latency in ms; raises when one fails, or answers something that is no decision."""
    latencies: list[float] = []
    waiting = iter([message.SerializeToString() for message in messages])
    async with aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(UNARY)

        async def caller() -> None:
            for message in waiting:
                started = time.perf_counter()
                answer = await call(message)
                latencies.append((time.perf_counter() - started) * 1_000)
                if check and not decision_service_pb2.DecideResponse.FromString(answer).decision.decision_id:
                    raise ValueError("an answer without a decision")

        await asyncio.gather(*(caller() for _ in range(in_flight)))
    return latencies


async def stream(address: str, messages: Sequence[decision_service_pb2.DecideRequest], size: int) -> int:
    """Return how many decisions a stream of messages of so many requests gave."""

    async def portfolio() -> AsyncIterator[bytes]:
        for first in range(0, len(messages), size):
            yield decision_service_pb2.DecideStreamRequest(requests=messages[first : first + size]).SerializeToString()

    decided = 0
    async with aio.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        call: Any = channel.stream_stream(STREAM)
        async for answer in call(portfolio()):
            results = decision_service_pb2.DecideStreamResponse.FromString(answer).results
            decided += sum(result.HasField("decision") for result in results)
    return decided
