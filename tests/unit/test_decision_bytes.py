"""A decision that is put together from pieces reads as what was decided."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from keepwell.v1 import decision_pb2 as contract
from msgspec.structs import replace

from rules.compiled import TraceRule
from rules.decision import Assessment, Decision, InterventionAction, Suppression
from rules.vocabulary import AssessmentSource, Cause, Channel, ReasonCode, Stage, Verdict
from server.convert.decision import encode_decision, trace_bytes
from server.road.assessed import Assessed
from server.road.sample import Behaviour

NOW = 1_772_366_400_000
CALL = InterventionAction("d.1", Channel.PHONE, "save-call", 1, NOW, NOW + 500, 2.5, 120.25, "EUR", "critical.calls")
WITHHELD = Suppression(Channel.SMS, "nudge", ReasonCode.LIMIT_CHANNEL, "limit.sms", "sms", 2.0, 2.0, NOW + 60_000)
ASSESSMENT = Assessment(0.875, AssessmentSource.CALLER, "", NOW)
DECISION = Decision(
    "d", "anna", Verdict.CONTACT, Stage.CRITICAL_RISK, ASSESSMENT, (CALL,), (WITHHELD,), None, Cause.REQUEST,
    "treatment", "default", "v1", (), NOW, None,
)  # fmt: skip
ASSESSED = Assessed(ASSESSMENT, Behaviour(b"", (), None), 0)


def read(decision: Decision) -> contract.Decision:
    return contract.Decision.FromString(encode_decision(decision, ASSESSED))


def seconds(count: int, nanos: int = 0) -> Timestamp:
    return Timestamp(seconds=count, nanos=nanos)


def test_a_contact_reads_as_it_was_granted() -> None:
    (action,) = read(DECISION).interventions
    assert action == contract.InterventionAction(
        intervention_id="d.1",
        channel=contract.INTERVENTION_CHANNEL_PHONE,
        playbook="save-call",
        priority=1,
        not_before=seconds(1_772_366_400),
        expire_time=seconds(1_772_366_400, 500_000_000),
        cost=2.5,
        expected_value=120.25,
        currency="EUR",
        rule="critical.calls",
    )


def test_a_contact_of_unknown_value_says_so_and_one_of_none_says_zero() -> None:
    unknown, none = (
        read(replace(DECISION, interventions=(replace(CALL, expected_value=value),))) for value in (None, 0.0)
    )
    assert not unknown.interventions[0].HasField("expected_value")
    assert none.interventions[0].HasField("expected_value")


def test_contacts_and_what_was_withheld_keep_their_order() -> None:
    second = replace(CALL, intervention_id="d.2", channel=Channel.EMAIL, priority=2, cost=0.0, currency="")
    decision = read(replace(DECISION, interventions=(CALL, second)))
    assert [action.intervention_id for action in decision.interventions] == ["d.1", "d.2"]
    assert (decision.decision_id, decision.lead_id, decision.assessment.churn_probability) == ("d", "anna", 0.875)
    (withheld,) = decision.suppressions
    assert (withheld.limit_name, withheld.observed, withheld.next_eligible_time) == ("sms", 2.0, seconds(1_772_366_460))


def test_a_suppression_without_a_time_has_none_and_other_counts_are_told_apart() -> None:
    others = [replace(WITHHELD, observed=3.0), replace(WITHHELD, next_eligible_at=None), WITHHELD]
    more, never, same = read(replace(DECISION, suppressions=tuple(others))).suppressions
    assert (more.observed, more.next_eligible_time) == (3.0, seconds(1_772_366_460))
    assert not never.HasField("next_eligible_time")
    assert same == read(DECISION).suppressions[0]


@pytest.mark.parametrize("length", [1, 127, 128, 200, 20_000])
def test_a_long_name_is_framed_as_protobuf_writes_it(length: int) -> None:
    name = "n" * length
    decision = encode_decision(replace(DECISION, decision_id=name, lead_id=name), ASSESSED)
    assert (found := contract.Decision.FromString(decision)).decision_id == found.lead_id == name


def test_a_trace_has_the_bytes_that_protobuf_writes() -> None:
    rules = [TraceRule("stage.lost", "p > 0.8"), TraceRule("grant.email", ""), TraceRule("stage.lost", "p > 0.9")]
    outcomes = [contract.RULE_OUTCOME_HIT, contract.RULE_OUTCOME_NO_HIT, contract.RULE_OUTCOME_HIT]
    entries = [
        contract.RuleTraceEntry(rule=rule.name, outcome=outcome, detail=rule.condition)
        for rule, outcome in zip(rules, outcomes, strict=True)
    ]
    assert trace_bytes(rules, b"\x00\x02") == contract.Decision(rule_trace=entries).SerializeToString()
    assert trace_bytes([], b"") == b""


@pytest.mark.parametrize("review_at", [None, NOW + 1])
def test_what_decisions_share_has_the_bytes_that_protobuf_writes(review_at: int | None) -> None:
    shared = contract.Decision(
        verdict=contract.VERDICT_CONTACT,
        assessment=contract.ChurnRiskAssessment(
            stage=contract.INTERVENTION_STAGE_CRITICAL_RISK,
            source=contract.ASSESSMENT_SOURCE_CALLER,
            assessed_at=seconds(1_772_366_400),
        ),
        cause=contract.DECISION_CAUSE_REQUEST,
        holdout_arm="treatment",
        policy_name="default",
        policy_version="v1",
        decided_at=seconds(1_772_366_400),
        next_review_time=None if review_at is None else seconds(1_772_366_400, 1_000_000),
    ).SerializeToString(deterministic=True)
    bare = replace(DECISION, interventions=(), suppressions=(), next_review_at=review_at)
    own = contract.Decision(decision_id="d", lead_id="anna").SerializeToString(deterministic=True)
    assert encode_decision(bare, ASSESSED).startswith(shared + own)
