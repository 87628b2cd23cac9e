"""The feed's yardstick, `bare_feed PORT FILE COUNT`: as little as grpc.aio needs to send a file's bytes so many times to every stream.

Streams open and wait; the first `Go` starts them all, so that opening them does not count.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import grpc
import uvloop
from grpc import aio


async def main(port: str, body: bytes, count: int) -> None:
    """Serve until killed."""
    going = asyncio.Event()

    async def watch(_request: bytes, context: Any) -> None:
        await context.write(b"")
        await going.wait()
        for _ in range(count):
            await context.write(body)

    async def go(_request: bytes, _context: Any) -> bytes:
        going.set()
        return b""

    server = aio.server(options=[("grpc.so_reuseport", 0)])
    methods: dict[str, Any] = {
        "WatchDecisions": grpc.unary_stream_rpc_method_handler(watch),
        "Go": grpc.unary_unary_rpc_method_handler(go),
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("keepwell.v1.FeedService", methods)])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes(), int(sys.argv[3])))
