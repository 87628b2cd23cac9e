"""A subscription's worker, for asyncio: `worker.py`, awaited."""

from __future__ import annotations  # the client knows the worker, too

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
from grpc import aio
from keepwell.v1.feed_service_pb2 import (
    AcknowledgeRequest,
    Delivery,
    FeedGap,
    RejectRequest,
    SubscribeRequest,
    SubscribeResponse,
)

from keepwell_client.connection import STREAM_SECONDS
from keepwell_client.errors import KeepwellError, error_of_call
from keepwell_client.reconnect import Reconnect
from keepwell_client.settling import UNSETTLED, Settlement, Settlements, failed

if TYPE_CHECKING:
    from keepwell_client.aio import AsyncClient

log = logging.getLogger("keepwell_client")


class AsyncWorker:
    """Handles deliveries until it is stopped; at least once each, acknowledged as they are done."""

    def __init__(
        self,
        client: AsyncClient,
        request: SubscribeRequest,
        handler: Callable[[Delivery], Awaitable[None]],
        concurrency: int,
        on_gap: Callable[[FeedGap], None],
        patience_seconds: float,
    ) -> None:
        self._client = client
        self._request = request
        self._handler = handler
        self._room = asyncio.Semaphore(concurrency)
        self._on_gap = on_gap
        self._patience_seconds = patience_seconds
        self._settled: asyncio.Queue[Settlement | None] = asyncio.Queue()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Have `run` take no more deliveries; from the event loop, such as a handler that `loop.add_signal_handler` was given."""
        self._stopping.set()

    async def run(self) -> None:
        """Handle deliveries; return when stopped, after what was in hand is done and settled, or when the client is closed.

        Raises:
            KeepwellError: The service refuses the subscription, or was away for too long.

        """
        settler = asyncio.create_task(self._settle())
        handling: set[asyncio.Task[None]] = set()
        try:
            await self._receive(handling)
        finally:
            await asyncio.gather(*handling)
            self._settled.put_nowait(None)
            await settler

    async def _receive(self, handling: set[asyncio.Task[None]]) -> None:
        loop = asyncio.get_running_loop()
        reconnect = Reconnect(self._patience_seconds, loop.time())
        while not (self._stopping.is_set() or self._client.is_closed):
            reconnect.opened(loop.time())
            call = self._client.feed.Subscribe(self._request, timeout=STREAM_SECONDS, metadata=self._client.metadata)
            failure = None
            try:
                while response := await self._next(call):
                    reconnect.arrived()
                    for delivery in response.deliveries:
                        task = loop.create_task(self._handle(delivery))
                        handling.add(task)
                        task.add_done_callback(handling.discard)
            except grpc.RpcError as error:
                failure = error_of_call(error)
            except asyncio.CancelledError:
                current = asyncio.current_task()
                if not self._client.is_closed or (current and current.cancelling()):
                    raise  # the caller's own; otherwise closing the channel has cancelled the call
            finally:
                call.cancel()
            if not (self._stopping.is_set() or self._client.is_closed):
                await asyncio.sleep(reconnect.delay(failure, loop.time()))

    async def _next(self, call: aio.UnaryStreamCall[SubscribeRequest, SubscribeResponse]) -> SubscribeResponse | None:
        """Return the next message; None when the stream has ended or no more are wanted."""
        reading = asyncio.ensure_future(anext(aiter(call), None))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()
            stopping.cancel()

    async def _handle(self, delivery: Delivery) -> None:
        async with self._room:
            try:
                if delivery.HasField("gap"):
                    self._on_gap(delivery.gap)
                else:
                    await self._handler(delivery)
                settlement = Settlement(delivery.delivery_id)
            except Exception as error:  # noqa: BLE001 (whatever it is, the delivery comes again)
                settlement = failed(delivery, error)
        self._settled.put_nowait(settlement)

    async def _settle(self) -> None:
        """Tell the service what became of deliveries, until `run` says that there are no more."""
        settlements = Settlements(self._request.subscription)
        loop = asyncio.get_running_loop()
        reconnect = Reconnect(self._patience_seconds, loop.time())
        more = True
        while more or settlements:
            while more and not (settlements and self._settled.empty()):
                settlement = await self._settled.get()
                if settlement:
                    settlements.add(settlement)
                more = settlement is not None
            for request in settlements.calls():
                await self._tell(request, settlements, reconnect)

    async def _tell(
        self, request: AcknowledgeRequest | RejectRequest, settlements: Settlements, reconnect: Reconnect
    ) -> None:
        if self._client.is_closed:
            log.warning(UNSETTLED, len(request.delivery_ids), "the client is closed")
            settlements.told(request)
            return
        loop = asyncio.get_running_loop()
        reconnect.opened(loop.time())
        try:
            if isinstance(request, AcknowledgeRequest):
                await self._client.call(self._client.feed.Acknowledge, request)
            else:
                await self._client.call(self._client.feed.Reject, request)
        except KeepwellError as error:
            try:
                await asyncio.sleep(reconnect.delay(error, loop.time()))
            except KeepwellError:
                log.warning(UNSETTLED, len(request.delivery_ids), error)
            else:
                return
        reconnect.arrived()
        settlements.told(request)
