"""The yardsticks: bare grpc.aio servers that answer every request with one message, as long as a real answer.

`echo PORT FILE bare|lean`: `bare` is grpc.aio as its documentation shows it, generated stubs on asyncio's own loop; `lean` is as much as the
transport gives, raw bytes over uvloop.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc import aio
from keepwell.v1 import decision_service_pb2_grpc
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideResponse


class Bare(decision_service_pb2_grpc.DecisionServiceServicer):
    """Answers with a message."""

    def __init__(self, answer: DecideResponse) -> None:
        self._answer = answer

    async def Decide(self, request: DecideRequest, context: Any) -> DecideResponse:  # type: ignore[override] # noqa: N802
        return self._answer


def add_lean(server: aio.Server, answer: bytes) -> None:
    """Answer with bytes; nothing is parsed."""

    async def decide(_request: bytes, _context: Any) -> bytes:
        return answer

    handler: Any = grpc.unary_unary_rpc_method_handler(decide)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("keepwell.v1.DecisionService", {"Decide": handler})]
    )


async def main(port: str, answer: bytes, *, lean: bool) -> None:
    """Serve until killed."""
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    if lean:
        add_lean(server, answer)
    else:
        decision_service_pb2_grpc.add_DecisionServiceServicer_to_server(Bare(DecideResponse.FromString(answer)), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    LEAN = sys.argv[3] == "lean"
    (uvloop.run if LEAN else asyncio.run)(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), lean=LEAN))
