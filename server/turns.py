"""Work that a process does by itself, turn after turn, for as long as it runs."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from redis.exceptions import RedisError

from server.errors import OverloadedError

log = structlog.get_logger()


async def take_turns(
    name: str, turn: Callable[[], Awaitable[bool]], idle_seconds: float, trouble_seconds: float = 1.0
) -> None:
    """Take turns until cancelled, at once while one returns that there may be more; a store or a road that is in trouble is waited for."""
    task = asyncio.current_task()
    # A cancellation can get lost in the store's client when a connection breaks just then; the task remembers it.
    while task is None or not task.cancelling():
        rest_seconds = trouble_seconds
        try:
            rest_seconds = 0 if await turn() else idle_seconds
        except (RedisError, OSError, OverloadedError) as error:
            log.warning(f"{name}_wait", error=str(error))
        except Exception:
            # A fault of ours must not end the work for good, nor without a word.
            log.exception(f"{name}_failed")
        if task is None or not task.cancelling():
            await asyncio.sleep(rest_seconds)
