"""The answers to a message of a stream: its results as bytes, one behind the other, as a DecideStreamResponse holds them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from google.rpc.status_pb2 import Status
from keepwell.v1 import decision_service_pb2

from server.convert.pieces import embedded, head
from server.road.job import Committed, Outcome

REPLAYED: Final = b"\x20\x01"
# A client takes 4 MB unless it is told otherwise, and 1,024 decisions may be more. A result that is larger alone goes alone.
MOST_BYTES: Final = 2_000_000


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
    messages: list[bytes] = []
    parts: list[bytes] = []  # joined at the end: each decision is copied once
    size = refused = 0
    for request_id, outcome in zip(request_ids, outcomes, strict=True):
        trace = traces[outcome.hits] if isinstance(outcome, Committed) else outcome
        if isinstance(outcome, Committed) and isinstance(trace, bytes):
            decision, tail = outcome.decision, REPLAYED if outcome.replayed else b""
            opening = embedded(1, request_id.encode()) + head(2, len(decision) + len(trace))
            length = len(opening) + len(decision) + len(trace) + len(tail)
            result: tuple[bytes, ...] = (head(1, length), opening, decision, trace, tail)
            length += len(result[0])
        else:
            error = trace if isinstance(trace, Exception) else TypeError(trace)
            refusal = decision_service_pb2.DecideStreamResult(request_id=request_id, error=status_of(error))
            result = (embedded(1, refusal.SerializeToString()),)
            length = len(result[0])
            refused += 1
        size += length
        if size > MOST_BYTES and parts:
            messages.append(b"".join(parts))
            parts, size = [], length
        parts += result
    messages.append(b"".join(parts))
    return Answers(messages, refused)
