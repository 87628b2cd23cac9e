"""When a lead will leave, and why: from a call to the decision, the lead's view, the command line, and back again."""

import math
import uuid

import grpc
import pytest
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc, lead_service_pb2, lead_service_pb2_grpc
from typer.testing import CliRunner

from model.survival.estimate import NoEstimateReason
from server.cli import app

NUMBERS = {"days_since_last_activity": 12.0, "active_days_30": 4.0, "tenure_days": 200.0, "silence_ratio": 2.0}


def call(tenant: str) -> tuple[tuple[str, str], ...]:
    return (("x-keepwell-tenant", tenant), ("x-keepwell-now", "2026-03-03T17:00:00Z"))


@pytest.fixture
def decisions(channel: grpc.Channel) -> decision_service_pb2_grpc.DecisionServiceStub:
    return decision_service_pb2_grpc.DecisionServiceStub(channel)


def asking(numbers: dict[str, float], **fields: object) -> messages.DecideRequest:
    features = pb.Features(numbers=numbers)
    return messages.DecideRequest(lead_id="lead-1", request_id=uuid.uuid4().hex, features=features, **fields)  # type: ignore[arg-type]


def test_a_decision_says_when_the_lead_is_expected_to_leave(decisions, tenant):  # type: ignore[no-untyped-def]
    found = decisions.Decide(asking(NUMBERS), metadata=call(tenant)).decision.assessment
    assert 0 <= found.time_to_churn.early_days <= found.expected_days_to_churn <= 240
    time = found.time_to_churn
    assert 0 < time.probability_7_days < time.probability_30_days < time.probability_90_days < 1
    assert found.no_estimate_reason == pb.NO_ESTIMATE_REASON_UNSPECIFIED


def test_the_lead_remembers_when_it_is_expected_to_leave(decisions, channel, tenant):  # type: ignore[no-untyped-def]
    made = decisions.Decide(asking(NUMBERS), metadata=call(tenant)).decision.assessment
    leads = lead_service_pb2_grpc.LeadServiceStub(channel)
    view = leads.GetLead(lead_service_pb2.GetLeadRequest(lead_id="lead-1"), metadata=call(tenant)).assessment
    assert view.expected_days_to_churn == made.expected_days_to_churn
    decisions.Decide(asking(NUMBERS, churn_probability=0.5), metadata=call(tenant))
    view = leads.GetLead(lead_service_pb2.GetLeadRequest(lead_id="lead-1"), metadata=call(tenant)).assessment
    assert not view.HasField("expected_days_to_churn")
    assert view.no_estimate_reason == pb.NO_ESTIMATE_REASON_PROBABILITY_GIVEN


@pytest.mark.parametrize(
    ("numbers", "fields", "reason"),
    [
        (NUMBERS, {"churn_probability": 0.5}, pb.NO_ESTIMATE_REASON_PROBABILITY_GIVEN),
        ({"active_days_30": 4.0}, {}, pb.NO_ESTIMATE_REASON_ACTIVITY_UNKNOWN),
        ({"days_since_last_activity": 43.0}, {}, pb.NO_ESTIMATE_REASON_SILENT_ALREADY),
    ],
)
def test_without_an_estimate_there_is_a_reason(decisions, tenant, numbers, fields, reason):  # type: ignore[no-untyped-def]
    found = decisions.Decide(asking(numbers, **fields), metadata=call(tenant)).decision.assessment
    assert not found.HasField("expected_days_to_churn")
    assert not found.HasField("time_to_churn")
    assert found.no_estimate_reason == reason


@pytest.mark.parametrize("fields", [{}, {"explain": True}, {"churn_probability": 0.5}])
def test_a_decision_is_made_again_with_the_same_time_byte_for_byte(decisions, tenant, fields):  # type: ignore[no-untyped-def]
    made = decisions.Decide(asking(NUMBERS, **fields), metadata=call(tenant)).decision
    request = messages.VerifyDecisionRequest(decision_id=made.decision_id)
    response = decisions.VerifyDecision(request, metadata=call(tenant))
    assert response.match, response.mismatches


def test_factors_add_up_to_the_probabilitys_log_odds_on_the_wire(decisions, tenant):  # type: ignore[no-untyped-def]
    found = decisions.Preview(asking(NUMBERS, explain=True), metadata=call(tenant)).decision.assessment
    total = found.base_log_odds + math.fsum(factor.contribution for factor in found.factors)
    assert 1 / (1 + math.exp(-total)) == pytest.approx(found.churn_probability, abs=1e-12)
    assert {factor.feature: factor.meaning for factor in found.factors}["other"] == "all other features together"


def test_without_explain_there_are_no_factors(decisions, tenant):  # type: ignore[no-untyped-def]
    found = decisions.Preview(asking(NUMBERS), metadata=call(tenant)).decision.assessment
    assert (list(found.factors), found.HasField("base_log_odds")) == ([], False)


def test_the_command_line_tells_when_and_why_in_words(server: str, tenant: str) -> None:
    features = [text for name, value in NUMBERS.items() for text in ("--feature", f"{name}={value}")]
    result = CliRunner().invoke(
        app, ["decide", "lead-1", *features, "--explain", "--preview", "--server", server, "--tenant", tenant]
    )
    assert result.exit_code == 0, result.output
    assert "leaves: median " in result.output
    assert "the average lead (log-odds)" in result.output
    assert "  days with activity in the last 14: unknown\n" in result.output
    result = CliRunner().invoke(
        app, ["decide", "lead-1", "--probability", "0.5", "--preview", "--server", server, "--tenant", tenant]
    )
    assert "leaves: no estimate (PROBABILITY_GIVEN)" in result.output


def test_the_models_reasons_are_the_contracts() -> None:
    names = {reason.name: int(reason) for reason in NoEstimateReason}
    contract = {name.removeprefix("NO_ESTIMATE_REASON_"): number for name, number in pb.NoEstimateReason.items()}
    assert names | {"UNSPECIFIED": 0} == contract
