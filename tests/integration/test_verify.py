"""A decision that was changed after it was made is found out, field by field."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc
from redis import Redis

from server.convert.decision import mismatches
from server.store.entry import LogEntry, pack_entry, parse_entry
from server.store.keys import Partition


class Verifying:
    """One tenant's decisions, and a hand in its log."""

    def __init__(self, channel: grpc.Channel, tenant: str, store: Any) -> None:
        self._stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._metadata = (("x-keepwell-tenant", tenant),)
        self._store = store
        self._log = Partition(tenant, 0).log

    def decide(self) -> str:
        request = messages.DecideRequest(lead_id="lead", churn_probability=0.5)
        return self._stub.Decide(request, metadata=self._metadata).decision.decision_id

    def change(self, piece: str, change: Callable[[bytes], bytes]) -> None:
        """Write the log's only entry again, with one of its pieces changed."""
        entry = self.entry()
        pieces = {"decision": entry.decision, "hits": entry.hits, "inputs": entry.inputs}
        packed = pack_entry(**pieces | {piece: change(pieces[piece])})
        self.write({entry.previous: packed}, entry.log_id)

    def entry(self) -> LogEntry:
        (reply,) = self._store.xrange(self._log)
        return parse_entry(reply)

    def write(self, fields: dict[str, Any], log_id: str) -> None:
        self._store.delete(self._log)
        self._store.xadd(self._log, fields, id=log_id)

    def verify(self, decision_id: str) -> tuple[bool, dict[str, tuple[str, str]]]:
        request = messages.VerifyDecisionRequest(decision_id=decision_id)
        found = self._stub.VerifyDecision(request, metadata=self._metadata)
        return found.match, {each.field_path: (each.stored, each.recomputed) for each in found.mismatches}


@pytest.fixture
def verifying(channel: grpc.Channel, tenant: str, store_url: str) -> Iterator[Verifying]:
    with Redis.from_url(store_url) as store:
        yield Verifying(channel, tenant, store)


def changed(change: Callable[[pb.Decision], None]) -> Callable[[bytes], bytes]:
    def rewritten(data: bytes) -> bytes:
        decision = pb.Decision.FromString(data)
        change(decision)
        return decision.SerializeToString(deterministic=True)

    return rewritten


def test_a_probability_that_was_changed_is_named_with_both_values(verifying: Verifying) -> None:
    made = verifying.decide()
    assert verifying.verify(made) == (True, {})
    verifying.change("decision", changed(lambda decision: setattr(decision.assessment, "churn_probability", 0.25)))
    assert verifying.verify(made) == (False, {"assessment.churn_probability": ("0.25", "0.5")})


def test_a_contact_that_was_added_is_named_as_absent_from_what_the_rules_say(verifying: Verifying) -> None:
    made = verifying.decide()
    extra = pb.InterventionAction(intervention_id="x", playbook="forged")
    verifying.change("decision", changed(lambda decision: decision.interventions.append(extra)))
    match, found = verifying.verify(made)
    assert (match, list(found)) == (False, ["interventions[1]"])
    assert "forged" in found["interventions[1]"][0]
    assert found["interventions[1]"][1] == "absent"


def test_a_trace_that_was_changed_is_found_out(verifying: Verifying) -> None:
    made = verifying.decide()
    verifying.change("hits", lambda hits: hits[:-1])  # the last rule that hit
    match, found = verifying.verify(made)
    assert not match
    assert [path.partition("[")[0] for path in found] == ["rule_trace"]
    assert found.popitem()[1] == (str(pb.RULE_OUTCOME_NO_HIT), str(pb.RULE_OUTCOME_HIT))


def test_inputs_that_were_changed_give_another_decision(verifying: Verifying) -> None:
    made = verifying.decide()
    verifying.change(
        "inputs",
        lambda inputs: inputs.replace(bytes.fromhex("cb3fe0000000000000"), bytes.fromhex("cb3fb999999999999a")),
    )
    match, found = verifying.verify(made)
    assert (match, found["assessment.churn_probability"]) == (False, ("0.5", "0.1"))
    assert "verdict" in found


def test_bytes_that_cannot_be_read_are_a_mismatch_and_no_failure(verifying: Verifying) -> None:
    made = verifying.decide()
    verifying.change("decision", lambda data: data + b"\x0a\xff")
    match, found = verifying.verify(made)
    assert (match, list(found)) == (False, ["decision"])
    assert found["decision"][0].startswith("unreadable: ")


def test_bytes_that_mean_the_same_and_are_others_are_named_as_such() -> None:
    first, second = pb.Decision(decision_id="d").SerializeToString(), pb.Decision(lead_id="l").SerializeToString()
    (found,) = mismatches(first + second, second + first)
    assert (found.field_path, found.stored, found.recomputed) == (
        "bytes",
        (first + second).hex(),
        (second + first).hex(),
    )
    assert mismatches(first, first) == []


def test_a_decision_that_was_kept_in_four_fields_is_still_read(verifying: Verifying) -> None:
    made = verifying.decide()
    entry = verifying.entry()
    former = {"d": entry.decision, "t": entry.hits, "i": entry.inputs, "p": entry.previous}
    verifying.write(former, entry.log_id)
    assert verifying.entry() == entry
    assert verifying.verify(made) == (True, {})
