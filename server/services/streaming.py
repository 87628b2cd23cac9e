"""How a stream of requests is answered: each by itself, in any order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TypeVar

from server.rpc import Answer, Context

Request = TypeVar("Request")


async def answer_each(
    requests: AsyncIterator[Request],
    context: Context,
    in_flight: int,
    answer: Callable[[Request], Awaitable[Sequence[Answer]]],
) -> None:
    """Write the answers to each request; a bounded number of requests is in flight, and reading waits for them.

    What reading, answering or writing raises ends all of it, and is raised as it is: the call's status is chosen by it.
    """
    room = asyncio.Semaphore(in_flight)
    writing = asyncio.Lock()

    async def run(request: Request) -> None:
        try:
            answers = await answer(request)
            async with writing:
                for each in answers:
                    await context.write(each)
        finally:
            room.release()

    begun = False
    try:
        async with asyncio.TaskGroup() as group:
            async for request in requests:
                if not begun:
                    # Here, where nothing stops it: headers that a stopped write was to send keep gRPC from sending the status, too.
                    await context.send_initial_metadata(())
                    begun = True
                await room.acquire()
                group.create_task(run(request))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
