"""The answer to a message of a stream: its results as bytes, one behind the other, as a DecideStreamResponse holds them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from google.rpc.status_pb2 import Status
from keepwell.v1 import decision_service_pb2

from server.convert.pieces import embedded, head
from server.road.job import Committed, Outcome

REPLAYED: Final = b"\x20\x01"


class Response(NamedTuple):
    """A DecideStreamResponse, and how many of its results are refusals."""

    data: bytes
    refused: int


def stream_response(
    request_ids: Sequence[str],
    outcomes: Sequence[Outcome],
    traces: Mapping[bytes, bytes | Exception],
    status_of: Callable[[Exception], Status],
) -> Response:
    """Return what a stream's message is answered with; a decision whose trace is not at hand is refused for that reason."""
    parts: list[bytes] = []  # joined at the end: each decision is copied once
    refused = 0
    for request_id, outcome in zip(request_ids, outcomes, strict=True):
        trace = traces[outcome.hits] if isinstance(outcome, Committed) else outcome
        if isinstance(outcome, Committed) and isinstance(trace, bytes):
            decision, tail = outcome.decision, REPLAYED if outcome.replayed else b""
            length = len(decision) + len(trace)
            opening = embedded(1, request_id.encode()) + head(2, length)
            parts += (head(1, len(opening) + length + len(tail)), opening, decision, trace, tail)
        else:
            error = trace if isinstance(trace, Exception) else TypeError(trace)
            result = decision_service_pb2.DecideStreamResult(request_id=request_id, error=status_of(error))
            parts.append(embedded(1, result.SerializeToString()))
            refused += 1
    return Response(b"".join(parts), refused)
