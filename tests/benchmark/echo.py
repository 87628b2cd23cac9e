"""The yardstick: a bare grpc.aio server that answers bytes. `python -m tests.benchmark.echo PORT BYTES`.

It takes the same request and sends as many bytes back as a decision has.
"""

import sys
from typing import Any

import grpc
import uvloop
from grpc import aio


async def main() -> None:
    """Serve until killed."""
    port, length = int(sys.argv[1]), int(sys.argv[2])
    answer = b"x" * length

    async def echo(_request: bytes, _context: aio.ServicerContext[Any, Any]) -> bytes:
        return answer

    handler: Any = grpc.unary_unary_rpc_method_handler(echo)
    server = aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("keepwell.v1.DecisionService", {"Decide": handler})]
    )
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
