"""The results of a stream's message: each its own, whatever became of the others."""

import pytest
from google.rpc.status_pb2 import Status
from keepwell.v1.decision_pb2 import Decision, RuleTraceEntry
from keepwell.v1.decision_service_pb2 import DecideStreamResponse, DecideStreamResult

from server.convert.results import Answers, stream_responses
from server.road.job import Committed, Outcome, Reviewed

HITS, LOST = b"v1:\x00", b"v2:\x00"
TRACE = Decision(rule_trace=[RuleTraceEntry(rule="stage.lost")]).SerializeToString()
TRACES: dict[bytes, bytes | Exception] = {HITS: TRACE, LOST: LookupError("v2")}


def status_of(error: Exception) -> Status:
    return Status(code=13, message=f"{type(error).__name__}: {error}")


def respond(*outcomes: Outcome) -> Answers:
    return stream_responses([f"r{place}" for place in range(len(outcomes))], outcomes, TRACES, status_of)


def decision(lead_id: str) -> bytes:
    return Decision(lead_id=lead_id).SerializeToString()


def test_decisions_and_refusals_are_told_in_their_order_each_under_its_id() -> None:
    answers = respond(
        Committed(decision("anna"), HITS, replayed=False),
        ValueError("no"),
        Committed(decision("bert"), LOST, replayed=False),
        Committed(decision("carl"), HITS, replayed=True),
        Reviewed(),
    )
    traced = [RuleTraceEntry(rule="stage.lost")]
    (message,) = answers.messages
    assert DecideStreamResponse.FromString(message).results == [
        DecideStreamResult(request_id="r0", decision=Decision(lead_id="anna", rule_trace=traced)),
        DecideStreamResult(request_id="r1", error=Status(code=13, message="ValueError: no")),
        DecideStreamResult(request_id="r2", error=Status(code=13, message="LookupError: v2")),
        DecideStreamResult(request_id="r3", decision=Decision(lead_id="carl", rule_trace=traced), replayed=True),
        DecideStreamResult(request_id="r4", error=Status(code=13, message="TypeError: Reviewed()")),
    ]
    assert answers.refused == 3


@pytest.mark.parametrize("length", [1, 90, 127, 128, 16_384])
def test_a_long_decision_is_framed_as_protobuf_writes_it(length: int) -> None:
    (message,) = respond(Committed(decision("l" * length), HITS, replayed=False)).messages
    (result,) = DecideStreamResponse.FromString(message).results
    assert result.decision.lead_id == "l" * length
    assert DecideStreamResponse(results=[result]).SerializeToString() == message


def test_results_that_are_too_long_together_come_apart_in_their_order() -> None:
    longest = 1_000_000 - 30  # a result of such a decision is 1,000,000 bytes

    assert [len(each) for each in respond(Committed(decision("l" * longest), HITS, replayed=False)).messages] == [
        1_000_000
    ]

    def told(*lengths: int) -> list[list[str]]:
        outcomes = [Committed(decision("l" * length), HITS, replayed=False) for length in lengths]
        messages = respond(*outcomes).messages
        return [[each.request_id for each in DecideStreamResponse.FromString(message).results] for message in messages]

    assert told(longest, longest, 1) == [["r0", "r1"], ["r2"]]
    assert told(longest, longest + 1, 1) == [["r0"], ["r1", "r2"]]
    assert told(1_900_000, 1_200_000, 1_200_000) == [["r0"], ["r1"], ["r2"]]
    assert told(3_000_000, 1, 3_000_000) == [["r0"], ["r1"], ["r2"]]


def test_refusals_that_are_too_long_together_come_apart_too() -> None:
    messages = respond(*[ValueError("x" * 900_000)] * 3).messages
    assert [len(DecideStreamResponse.FromString(message).results) for message in messages] == [2, 1]


def test_no_results_are_a_message_without_any() -> None:
    assert respond() == Answers([b""], 0)
