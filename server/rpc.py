"""How a method of the contract is served: parse, say who calls, run, and turn what goes wrong into a status.

Methods are registered from the contract's own descriptors, so none can be forgotten: one without a handler answers UNIMPLEMENTED with a
reason. Messages are parsed here rather than by gRPC, which would report damaged ones as a fault of ours.
"""

from __future__ import annotations  # gRPC's stubs are generic, its classes are not

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import structlog
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from grpc import StatusCode, aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc_status import rpc_status

from server.caller import Caller, caller_of
from server.convert.sealed import message_class, parse
from server.errors import NotServedError
from server.logs import bind_call, bound_correlation_id
from server.metrics import RPCS
from server.status import internal_status, known, logged, pushback, reason_of, status_of

Context = aio.ServicerContext[Any, Any]
Handler = Callable[..., Any]
Answer = Message | bytes
# What grpc.aio raises when a message cannot be sent any more; it has no public name.
SEND_FAILED = (cygrpc.ExecuteBatchError,)
log = structlog.get_logger()


def _serialize(answer: Answer) -> bytes:
    return answer if isinstance(answer, bytes) else answer.SerializeToString()


def error_status(error: Exception, caller: str, **context: object) -> Status:
    """Return what a caller learns of an error; one of ours is logged with its stack under the correlation id."""
    if known(error):
        return status_of(error)
    log.error("internal_error", correlation_id=caller, exc_info=error, **context)
    return internal_status(caller)


class Rpc:
    """One method, from bytes to bytes."""

    def __init__(self, method: MethodDescriptor, handler: Handler | None, *, manual_clock: bool) -> None:
        self._name = f"{method.containing_service.name}.{method.name}"
        self._message: type[Message] = message_class(method.input_type)
        self._handler = handler
        self._manual_clock = manual_clock
        self._ok = RPCS.labels(self._name, "OK")
        self._cancelled = RPCS.labels(self._name, StatusCode.CANCELLED.name)

    def _caller(self, context: Context) -> Caller:
        caller = caller_of(context.invocation_metadata() or (), manual_clock=self._manual_clock)
        bind_call(caller.tenant, caller.correlation_id)
        return caller

    def _served(self) -> Handler:
        if self._handler is None:
            raise NotServedError(self._name)
        return self._handler

    async def _abort(self, context: Context, error: Exception) -> None:
        if isinstance(error, SEND_FAILED):
            # The caller went away while we were sending; there is nobody to be told.
            self._cancelled.inc()
            log.info("caller_left", method=self._name)
            return
        status = rpc_status.to_status(error_status(error, bound_correlation_id(), method=self._name))
        RPCS.labels(self._name, status.code.name).inc()
        if known(error):
            said = {"code": status.code.name, "reason": reason_of(error), "error": logged(error)}
            log.info("rpc_refused", method=self._name, **said)
        # abort() with metadata rather than abort_with_status(): tracing would record the latter as OK.
        await context.abort(status.code, status.details, (*status.trailing_metadata, *pushback(error)))

    def _read(self, given: bytes | AsyncIterator[bytes]) -> Message | AsyncIterator[Message]:
        if isinstance(given, bytes):
            return parse(self._message, given)
        return (parse(self._message, data) async for data in given)

    async def _serve(self, given: bytes | AsyncIterator[bytes], context: Context, *writes_to: Context) -> Any:
        """Return what the handler returns; every call is counted once, however it ends."""
        bind_call("", "")
        try:
            caller = self._caller(context)
            handler = self._served()
            answer = await handler(self._read(given), caller, *writes_to)
        except asyncio.CancelledError:
            # The caller left, its deadline passed, or we were drained for too long: what a stream without end ends by.
            self._cancelled.inc()
            raise
        except Exception as error:  # noqa: BLE001 (the one place that turns every error into a status)
            return await self._abort(context, error)
        self._ok.inc()
        return answer

    async def answer(self, given: bytes | AsyncIterator[bytes], context: Context) -> Answer:
        """Return the one answer to a request, or to a stream of them."""
        answer: Answer = await self._serve(given, context)
        return answer

    async def write(self, given: bytes | AsyncIterator[bytes], context: Context) -> None:
        """Serve a request, or a stream of them, with many answers; the handler writes them itself."""
        await self._serve(given, context, context)

    def grpc_handler(self, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the method as gRPC wants it."""
        if method.client_streaming and not method.server_streaming:
            return grpc.stream_unary_rpc_method_handler(self.answer, None, _serialize)
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self.write, None, _serialize)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self.write, None, _serialize)
        return grpc.unary_unary_rpc_method_handler(self.answer, None, _serialize)


def service_handler(
    service: ServiceDescriptor, handlers: Mapping[str, Handler], *, manual_clock: bool
) -> grpc.GenericRpcHandler:
    """Return all methods of a service; those without a handler answer UNIMPLEMENTED with a reason."""
    methods = {
        method.name: Rpc(method, handlers.get(method.name), manual_clock=manual_clock).grpc_handler(method)
        for method in service.methods
    }
    return grpc.method_handlers_generic_handler(service.full_name, methods)
