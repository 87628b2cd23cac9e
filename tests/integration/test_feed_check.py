import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_pb2
from keepwell.v1 import feed_service_pb2 as messages
from typer.testing import CliRunner

from server.cli import app
from tests.integration.test_retention import AFTER_A_WEEK, FIRST, WEEK_MS, Caller, trim_to

Responses = Iterable[messages.WatchDecisionsResponse]
Fault = Callable[[Responses], Responses]
STREAM = "every decision once, in its lead's order"
RESUME = "a token of decisions resumes right after them"
CHECKPOINT = "a checkpoint is never ahead of data"
RECONNECT = "nothing is lost or repeated across reconnects"
AT_TIME = "a start at a time brings everything since"
REFUSALS = {
    "a damaged token is refused",
    "what is no token is refused",
    "another tenant's token is refused",
    "another filter's token is refused",
}
EXPIRY = "a token that is too old is refused, and says where to start"


def intact(responses: Responses) -> Responses:
    return responses


def without(number: int, responses: Responses) -> Responses:
    seen = 0
    for response in responses:
        before, seen = seen, seen + len(response.decisions)
        if before < number <= seen:
            del response.decisions[number - before - 1]
        yield response


def without_the_first(responses: Responses) -> Responses:
    return without(1, responses)


def without_the_tenth(responses: Responses) -> Responses:
    return without(10, responses)


def everything_twice(responses: Responses) -> Responses:
    for response in responses:
        yield response
        if response.decisions:
            yield response


def the_third_after_the_eighth(responses: Responses) -> Responses:
    """The check asks about five leads in turn, so both are decisions of one lead."""
    seen = 0
    held: list[decision_pb2.Decision] = []
    for response in responses:
        kept: list[decision_pb2.Decision] = []
        for decision in response.decisions:
            seen += 1
            (held if seen == 3 else kept).append(decision)
            if seen == 8:
                kept += held
        del response.decisions[:]
        response.decisions.extend(kept)
        yield response


def checkpoints_ahead_of_data(responses: Responses) -> Responses:
    for response in responses:
        if response.decisions:
            yield messages.WatchDecisionsResponse(checkpoint=True, resume_token=response.resume_token)
        yield response


class UntypedError(Exception):
    """Stands for any error without a reason."""


def errors_without_a_reason(responses: Responses) -> Responses:
    try:
        yield from responses
    except grpc.RpcError as error:
        raise UntypedError from error


def details_of(error: Any) -> Any:
    return error.trailing_metadata()


@contextmanager
def proxy(target: str, fault: Fault) -> Iterator[str]:
    """Yield the address of a service that is the target, but for what it does to the streams of the feed."""
    channel = grpc.insecure_channel(target)
    decide: Any = channel.unary_unary("/keepwell.v1.DecisionService/Decide")
    watch: Any = channel.unary_stream(
        "/keepwell.v1.FeedService/WatchDecisions", None, messages.WatchDecisionsResponse.FromString
    )

    def forward(request: bytes, context: Any) -> Any:
        return decide(request, metadata=own(context))

    def tamper(request: bytes, context: Any) -> Iterator[messages.WatchDecisionsResponse]:
        call = watch(request, metadata=own(context))
        context.add_callback(call.cancel)
        try:
            yield from fault(call)
        except grpc.RpcError as error:
            context.set_trailing_metadata([m for m in details_of(error) if m[0] == "grpc-status-details-bin"])
            context.abort(error.code(), error.details())

    def own(context: Any) -> list[tuple[str, str]]:
        return [(name, value) for name, value in context.invocation_metadata() if name.startswith("x-keepwell")]

    server = grpc.server(ThreadPoolExecutor(64))
    decisions: dict[str, Any] = {"Decide": grpc.unary_unary_rpc_method_handler(forward)}
    serialize = messages.WatchDecisionsResponse.SerializeToString
    feed: dict[str, Any] = {"WatchDecisions": grpc.unary_stream_rpc_method_handler(tamper, None, serialize)}
    for name, methods in (("DecisionService", decisions), ("FeedService", feed)):
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"keepwell.v1.{name}", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()
    channel.close()


def broken(address: str, tenant: str, *options: str) -> tuple[set[str], int]:
    """Return the promises that a check finds broken, and its exit code."""
    command = ["feed", "check", "--server", address, "--tenant", tenant, "--decisions", "12", "--json", *options]
    result = CliRunner().invoke(app, command)
    found = json.loads(result.stdout)
    assert len(found) == 11
    return {finding["promise"] for finding in found if finding["kept"] is False}, result.exit_code


@pytest.mark.parametrize(
    ("fault", "promises"),
    [
        (intact, set()),
        (without_the_first, {STREAM, RESUME, CHECKPOINT, AT_TIME, RECONNECT}),
        (without_the_tenth, {STREAM, RESUME, CHECKPOINT, AT_TIME}),
        (everything_twice, {STREAM, RESUME, CHECKPOINT, AT_TIME}),
        (the_third_after_the_eighth, {STREAM, RESUME, CHECKPOINT, AT_TIME}),
        (checkpoints_ahead_of_data, {CHECKPOINT}),
        (errors_without_a_reason, REFUSALS),
    ],
)
def test_the_check_names_the_promises_that_a_feed_breaks_and_no_others(
    server: str, tenant: str, fault: Fault, promises: set[str]
) -> None:
    with proxy(server, fault) as address:
        assert broken(address, tenant) == (promises, 1 if promises else 0)


def test_the_check_tries_expiry_with_a_token_that_is_too_old(
    server: str, channel: grpc.Channel, store_url: str, tenant: str
) -> None:
    caller = Caller(channel, tenant)
    caller.decide(FIRST)
    caller.decide(AFTER_A_WEEK)
    _, token = caller.first(messages.FeedStart(earliest=Empty()))
    assert broken(server, tenant, "--old-token", token) == ({EXPIRY}, 1)  # it is not too old yet
    assert trim_to(store_url, tenant, WEEK_MS - 1)
    assert broken(server, tenant, "--old-token", token) == (set(), 0)
