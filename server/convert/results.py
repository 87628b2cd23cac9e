"""The answers to a message of a stream: its results as bytes, one behind the other, as a DecideStreamResponse holds them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from google.rpc.status_pb2 import Status
from keepwell.v1 import decision_service_pb2

from server.convert.pieces import embedded, head
from server.message_size import split
from server.road.job import Committed, Outcome

REPLAYED: Final = b"\x20\x01"


class Answers(NamedTuple):
    """DecideStreamResponses, one at least, and how many of their results are refusals."""

    messages: list[bytes]
    refused: int


def stream_responses(
    request_ids: Sequence[str],
    outcomes: Sequence[Outcome],
    traces: Mapping[bytes, bytes | Exception],
    status_of: Callable[[Exception], Status],
) -> Answers:
    """Return what a stream's message is answered with; a decision whose trace is not at hand is refused for that reason."""
    results: list[tuple[bytes, ...]] = []  # joined at the end: each decision is copied once
    sizes: list[int] = []
    refused = 0
    for request_id, outcome in zip(request_ids, outcomes, strict=True):
        trace = traces[outcome.hits] if isinstance(outcome, Committed) else outcome
        if isinstance(outcome, Committed) and isinstance(trace, bytes):
            decision, tail = outcome.decision, REPLAYED if outcome.replayed else b""
            opening = embedded(1, request_id.encode()) + head(2, len(decision) + len(trace))
            length = len(opening) + len(decision) + len(trace) + len(tail)
            start = head(1, length)
            results.append((start, opening, decision, trace, tail))
            sizes.append(len(start) + length)
        else:
            error = trace if isinstance(trace, Exception) else TypeError(trace)
            refusal = decision_service_pb2.DecideStreamResult(request_id=request_id, error=status_of(error))
            result = embedded(1, refusal.SerializeToString())
            results.append((result,))
            sizes.append(len(result))
            refused += 1
    return Answers([b"".join(chain.from_iterable(results[message])) for message in split(sizes)], refused)
