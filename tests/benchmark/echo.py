"""The yardsticks: bare grpc.aio servers that answer every request with one message, as long as a real answer.

`echo PORT FILE bare|lean`: `bare` is grpc.aio as its documentation shows it, messages on asyncio's own loop; `lean` is as much as the
transport gives, raw bytes over uvloop.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc import aio
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideResponse


def handler(answer: bytes, *, lean: bool) -> Any:
    """Return the method: as generated code registers it, or from bytes to bytes."""
    message: Any = answer if lean else DecideResponse.FromString(answer)

    async def decide(_request: Any, _context: Any) -> Any:
        return message

    if lean:
        return grpc.unary_unary_rpc_method_handler(decide)
    return grpc.unary_unary_rpc_method_handler(decide, DecideRequest.FromString, DecideResponse.SerializeToString)


async def main(port: str, answer: bytes, *, lean: bool) -> None:
    """Serve until killed."""
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    methods = {"Decide": handler(answer, lean=lean)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("keepwell.v1.DecisionService", methods)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    LEAN = sys.argv[3] == "lean"
    (uvloop.run if LEAN else asyncio.run)(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), lean=LEAN))
