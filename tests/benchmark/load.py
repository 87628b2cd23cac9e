"""Callers: so many calls in flight on one channel, each checked. They run in the benchmark's own process, whose time does not count.

What they have to do anyway, writing messages and reading answers, they do before the first call and after the last: callers that are as busy as
the server share its caches and its cores, and it would seem to cost more the more is checked.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from grpc import aio
from keepwell.v1 import decision_pb2, decision_service_pb2, lead_pb2, lead_service_pb2, lead_service_pb2_grpc

from model.features import CATEGORIES, NUMERIC
from model.simulator import Portfolio, simulate
from model.snapshot import categories_of, features_at
from server.cli.demo_portfolio import id_of, profile_of

UNARY = "/keepwell.v1.DecisionService/Decide"
STREAM = "/keepwell.v1.DecisionService/DecideStream"
NUMBERS_GIVEN = 20  # as the yardsticks of other systems were measured with
LEADS = 20_000
DAYS = (
    140,
    150,
    160,
    170,
)  # whose features are given: a lead's numbers have mostly changed when it is asked about again
PROFILES_A_CALL = 500
ONE_CONSENTS_IN = 4
CONSENTED = (decision_pb2.INTERVENTION_CHANNEL_PHONE, decision_pb2.INTERVENTION_CHANNEL_SMS)


def requests(count: int, leads: int, tag: str, *, explain: bool = False) -> list[decision_service_pb2.DecideRequest]:
    """Return requests for simulated leads drawn at random, each with twenty numbers and three categories; the same for the same arguments."""
    draw = np.random.default_rng(crc32(tag.encode()))
    days = [simulated_numbers(day) for day in DAYS]
    categories = [dict(zip([each.name for each in CATEGORIES], row, strict=True)) for row in categories_of(world())]
    made = []
    for number in range(count):
        lead, day = draw.integers([leads, len(days)]).tolist()
        features = decision_pb2.Features(numbers=days[day][lead], categories=categories[lead])
        made.append(
            decision_service_pb2.DecideRequest(
                request_id=f"{tag}-{number}", lead_id=id_of(lead), features=features, explain=explain
            )
        )
    return made


@lru_cache(maxsize=1)
def world() -> Portfolio:
    """Return the simulated leads: of every stage, about a third of them at risk."""
    return simulate(LEADS, max(DAYS) + 1, seed=7)


@lru_cache
def simulated_numbers(day: int) -> list[dict[str, float]]:
    """Return the first twenty numbers of the schema for every lead, as they were on a day."""
    rows = features_at(world(), day)[:, :NUMBERS_GIVEN].tolist()
    names = [feature.name for feature in NUMERIC[:NUMBERS_GIVEN]]
    return [{name: value for name, value in zip(names, row, strict=True) if value == value} for row in rows]  # noqa: PLR0124 (NaN)


async def introduce(address: str, leads: int) -> None:
    """Write leads' profiles, and the consent that some gave to calls and texts."""
    async with aio.insecure_channel(address) as channel:
        stub: Any = lead_service_pb2_grpc.LeadServiceStub(channel)
        for first in range(0, leads, PROFILES_A_CALL):
            profiles = [profile_of(world(), lead) for lead in range(first, min(first + PROFILES_A_CALL, leads))]
            await stub.UpsertLeads(lead_service_pb2.UpsertLeadsRequest(leads=profiles))
        consents = iter([(lead, channel) for lead in range(0, leads, ONE_CONSENTS_IN) for channel in CONSENTED])

        async def tell() -> None:
            for lead, asked in consents:
                request = lead_service_pb2.SetConsentRequest(
                    lead_id=id_of(lead), channel=asked, state=lead_pb2.CONSENT_STATE_GRANTED, source="sign-up"
                )
                await stub.SetConsent(request)

        await asyncio.gather(*(tell() for _ in range(64)))


async def one(address: str) -> bytes:
    """Return one answer, as bytes."""
    async with aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(UNARY)
        answer: bytes = await call(requests(1, 1, "one")[0].SerializeToString())
        return answer


async def unary(address: str, requests: Sequence[decision_service_pb2.DecideRequest], in_flight: int) -> list[float]:
    """Return each call's latency in ms; raises when one fails, or answers something that is no decision."""
    latencies: list[float] = []
    answers: list[bytes] = []
    waiting = iter([request.SerializeToString() for request in requests])
    async with aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(UNARY)

        async def caller() -> None:
            for message in waiting:
                started = time.perf_counter()
                answers.append(await call(message))
                latencies.append((time.perf_counter() - started) * 1_000)

        await asyncio.gather(*(caller() for _ in range(in_flight)))
    decided = sum(bool(decision_service_pb2.DecideResponse.FromString(each).decision.decision_id) for each in answers)
    if decided < len(requests):
        raise ValueError(f"{len(requests) - decided} answers without a decision")
    return latencies


async def stream(address: str, requests: Sequence[decision_service_pb2.DecideRequest], size: int) -> int:
    """Return how many decisions a stream of messages of so many requests gave; raises when it is not one each."""
    parts = [requests[first : first + size] for first in range(0, len(requests), size)]
    messages = [decision_service_pb2.DecideStreamRequest(requests=part).SerializeToString() for part in parts]

    async def portfolio() -> AsyncIterator[bytes]:
        for message in messages:
            yield message

    async with aio.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)]) as channel:
        call: Any = channel.stream_stream(STREAM)
        answers = [answer async for answer in call(portfolio())]
    results = [
        result for each in answers for result in decision_service_pb2.DecideStreamResponse.FromString(each).results
    ]
    decided = sum(result.HasField("decision") for result in results)
    if decided < len(requests):
        raise ValueError(f"{len(requests) - decided} requests without a decision")
    return decided
