"""What ends a stream of requests is told at once, whatever is being written just then."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from grpc import aio
from keepwell.v1 import decision_service_pb2

from server.caller import Caller
from server.rpc import Context, service_handler
from server.services.streaming import answer_each
from tests.conftest import free_port
from tests.integration.test_decision_service import refusal

DECISIONS = decision_service_pb2.DESCRIPTOR.services_by_name["DecisionService"]


@pytest.mark.timeout(60)
async def test_bytes_that_are_no_message_end_a_stream_whose_first_answer_is_being_written() -> None:
    writing = asyncio.Event()

    async def answer(_request: Message) -> list[bytes]:
        writing.set()
        return [bytes(20_000_000)]  # takes a while, as the caller has to make room

    async def handler(messages: AsyncIterator[Message], _caller: Caller, context: Context) -> None:
        await answer_each(messages, context, 2, answer)

    async def requests() -> AsyncIterator[bytes]:
        yield b""
        await writing.wait()
        yield b"\xff"

    server = aio.server()
    server.add_generic_rpc_handlers([service_handler(DECISIONS, {"DecideStream": handler}, manual_clock=False)])
    port = server.add_insecure_port(f"127.0.0.1:{free_port()}")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.max_receive_message_length", -1)]) as channel:
        call: Any = channel.stream_stream("/keepwell.v1.DecisionService/DecideStream")
        with pytest.raises(grpc.RpcError) as error:
            [answered async for answered in call(requests(), timeout=20)]
    await server.stop(0)
    assert refusal(error.value) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST", [])
