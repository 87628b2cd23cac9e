"""A subscription's worker, in threads. `aio_worker.py` is the same for asyncio."""

from __future__ import annotations  # the client knows the worker, too

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
from keepwell.v1.feed_service_pb2 import AcknowledgeRequest, Delivery, FeedGap, RejectRequest, SubscribeRequest

from keepwell_client.connection import STREAM_SECONDS
from keepwell_client.errors import KeepwellError, error_of_call
from keepwell_client.reconnect import Reconnect
from keepwell_client.settling import UNSETTLED, Settlement, Settlements, failed

if TYPE_CHECKING:
    from keepwell_client.client import Client

log = logging.getLogger("keepwell_client")


class Worker:
    """Handles deliveries until it is stopped; at least once each, acknowledged as they are done."""

    def __init__(
        self,
        client: Client,
        request: SubscribeRequest,
        handler: Callable[[Delivery], None],
        concurrency: int,
        on_gap: Callable[[FeedGap], None],
        patience_seconds: float,
    ) -> None:
        self._client = client
        self._request = request
        self._handler = handler
        self._concurrency = concurrency
        self._on_gap = on_gap
        self._patience_seconds = patience_seconds
        self._settled: queue.SimpleQueue[Settlement | None] = queue.SimpleQueue()
        self._stopping = False
        self._cancel: Callable[[], object] = lambda: None

    def stop(self) -> None:
        """Have `run` take no more deliveries; from any thread, or from a signal's handler (it takes no lock)."""
        self._stopping = True
        self._cancel()

    def run(self) -> None:
        """Handle deliveries; return when stopped, after what was in hand is done and settled, or when the client is closed.

        Raises:
            KeepwellError: The service refuses the subscription, or was away for too long.

        """
        settler = threading.Thread(target=self._settle, name="keepwell-settler")
        settler.start()
        try:
            with ThreadPoolExecutor(self._concurrency, "keepwell-handler") as handlers:
                self._receive(handlers)
        finally:
            self._settled.put(None)
            settler.join()

    def _receive(self, handlers: ThreadPoolExecutor) -> None:
        reconnect = Reconnect(self._patience_seconds, time.monotonic())
        while not self._client.is_closed:
            reconnect.opened(time.monotonic())
            call = self._client.feed.Subscribe(self._request, timeout=STREAM_SECONDS, metadata=self._client.metadata)
            self._cancel = call.cancel
            if self._stopping:  # it may have been asked for just before, and then cancelled the call before this one
                call.cancel()
            failure = None
            try:
                for response in call:
                    reconnect.arrived()
                    for delivery in response.deliveries:
                        handlers.submit(self._handle, delivery)
            except grpc.RpcError as error:
                failure = error_of_call(error)
            if self._stopping:
                return
            if not self._client.is_closed:
                time.sleep(reconnect.delay(failure, time.monotonic()))

    def _handle(self, delivery: Delivery) -> None:
        try:
            if delivery.HasField("gap"):
                self._on_gap(delivery.gap)
            else:
                self._handler(delivery)
            settlement = Settlement(delivery.delivery_id)
        except Exception as error:  # noqa: BLE001 (whatever it is, the delivery comes again)
            settlement = failed(delivery, error)
        self._settled.put(settlement)

    def _settle(self) -> None:
        """Tell the service what became of deliveries, until `run` says that there are no more."""
        settlements = Settlements(self._request.subscription)
        reconnect = Reconnect(self._patience_seconds, time.monotonic())
        more = True
        while more or settlements:
            while more and not (settlements and self._settled.empty()):
                settlement = self._settled.get()
                if settlement:
                    settlements.add(settlement)
                more = settlement is not None
            for request in settlements.calls():
                self._tell(request, settlements, reconnect)

    def _tell(
        self, request: AcknowledgeRequest | RejectRequest, settlements: Settlements, reconnect: Reconnect
    ) -> None:
        if self._client.is_closed:
            log.warning(UNSETTLED, len(request.delivery_ids), "the client is closed")
            settlements.told(request)
            return
        reconnect.opened(time.monotonic())
        try:
            if isinstance(request, AcknowledgeRequest):
                self._client.call(self._client.feed.Acknowledge, request)
            else:
                self._client.call(self._client.feed.Reject, request)
        except KeepwellError as error:
            try:
                time.sleep(reconnect.delay(error, time.monotonic()))
            except KeepwellError:
                log.warning(UNSETTLED, len(request.delivery_ids), error)
            else:
                return
        reconnect.arrived()
        settlements.told(request)
