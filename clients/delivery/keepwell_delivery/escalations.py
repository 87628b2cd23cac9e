"""Follows escalations: the next target of one that nobody acknowledged is told, too."""

import asyncio
from collections.abc import Awaitable, Callable

import grpc
import structlog
from keepwell.v1.decision_pb2 import ESCALATION_STATE_OPEN, Escalation
from keepwell.v1.escalation_service_pb2 import WatchEscalationsRequest
from keepwell_client import AsyncClient, RetryLaterError
from keepwell_client.errors import error_of_call

AGAIN_SECONDS = 2.0

log = structlog.get_logger()


class Notifier:
    """Notifies of every open escalation, at each of its levels.

    Args:
        keepwell: The service.
        notify: Tells the target; raises RetryLaterError when it is to be called again.

    """

    def __init__(self, keepwell: AsyncClient, notify: Callable[[Escalation], Awaitable[None]]) -> None:
        self._keepwell = keepwell
        self._notify = notify
        self._telling: dict[tuple[str, int], asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()

    async def follow(self) -> None:
        """Follow until cancelled. Each stream starts with the escalations that are open, so no place has to be kept."""
        while True:
            call = self._keepwell.escalations.WatchEscalations(
                WatchEscalationsRequest(), metadata=self._keepwell.metadata
            )
            try:
                async for response in call:
                    for escalation in response.escalations:
                        self._start(escalation)
            except grpc.RpcError as error:
                log.warning("escalations_not_followed", error=str(error_of_call(error)))
            finally:
                call.cancel()
            await asyncio.sleep(AGAIN_SECONDS)

    async def finish(self) -> None:
        """Wait for the notices that are under way; leave those that are to be tried later to the next start."""
        self._stopping.set()
        if self._telling:
            await asyncio.wait(self._telling.values())

    def _start(self, escalation: Escalation) -> None:
        key = (escalation.escalation_id, escalation.level)
        if escalation.state == ESCALATION_STATE_OPEN and key not in self._telling:
            task = self._telling[key] = asyncio.create_task(self._tell(escalation))
            task.add_done_callback(lambda _: self._telling.pop(key))

    async def _tell(self, escalation: Escalation) -> None:
        while not self._stopping.is_set():
            try:
                return await self._notify(escalation)
            except RetryLaterError as error:
                stopping = asyncio.create_task(self._stopping.wait())
                await asyncio.wait({stopping}, timeout=error.seconds)
                stopping.cancel()
        return None
