"""The results of a stream's message: each its own, whatever became of the others."""

import pytest
from google.rpc.status_pb2 import Status
from keepwell.v1.decision_pb2 import Decision, RuleTraceEntry
from keepwell.v1.decision_service_pb2 import DecideStreamResponse, DecideStreamResult

from server.convert.results import Response, stream_response
from server.road.job import Committed, Outcome, Reviewed

HITS, LOST = b"v1:\x00", b"v2:\x00"
TRACE = Decision(rule_trace=[RuleTraceEntry(rule="stage.lost")]).SerializeToString()
TRACES: dict[bytes, bytes | Exception] = {HITS: TRACE, LOST: LookupError("v2")}


def status_of(error: Exception) -> Status:
    return Status(code=13, message=f"{type(error).__name__}: {error}")


def respond(*outcomes: Outcome) -> Response:
    return stream_response([f"r{place}" for place in range(len(outcomes))], outcomes, TRACES, status_of)


def decision(lead_id: str) -> bytes:
    return Decision(lead_id=lead_id).SerializeToString()


def test_decisions_and_refusals_are_told_in_their_order_each_under_its_id() -> None:
    response = respond(
        Committed(decision("anna"), HITS, replayed=False),
        ValueError("no"),
        Committed(decision("bert"), LOST, replayed=False),
        Committed(decision("carl"), HITS, replayed=True),
        Reviewed(),
    )
    traced = [RuleTraceEntry(rule="stage.lost")]
    assert DecideStreamResponse.FromString(response.data).results == [
        DecideStreamResult(request_id="r0", decision=Decision(lead_id="anna", rule_trace=traced)),
        DecideStreamResult(request_id="r1", error=Status(code=13, message="ValueError: no")),
        DecideStreamResult(request_id="r2", error=Status(code=13, message="LookupError: v2")),
        DecideStreamResult(request_id="r3", decision=Decision(lead_id="carl", rule_trace=traced), replayed=True),
        DecideStreamResult(request_id="r4", error=Status(code=13, message="TypeError: Reviewed()")),
    ]
    assert response.refused == 3


@pytest.mark.parametrize("length", [1, 90, 127, 128, 16_384])
def test_a_long_decision_is_framed_as_protobuf_writes_it(length: int) -> None:
    response = respond(Committed(decision("l" * length), HITS, replayed=False))
    (result,) = DecideStreamResponse.FromString(response.data).results
    assert result.decision.lead_id == "l" * length
    assert DecideStreamResponse(results=[result]).SerializeToString() == response.data


def test_no_results_are_no_bytes() -> None:
    assert respond() == Response(b"", 0)
