from datetime import UTC, datetime, timedelta

import grpc
import pytest
from keepwell.v1 import decision_pb2, decision_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import decision_service_pb2 as decisions
from keepwell.v1 import lead_service_pb2 as messages

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
MINUTES = timedelta(minutes=1)
LIVELY = {"days_since_last_activity": 1, "active_days_30": 20}  # in no stage, so that no contact changes anything


class Lead:
    """One tenant's lead, decided at times that are told."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        self._tenant = tenant

    def at(self, now: datetime) -> tuple[tuple[str, str], ...]:
        return (("x-keepwell-tenant", self._tenant), ("x-keepwell-now", now.isoformat()))

    def decide(self, now: datetime, **numbers: float) -> decision_pb2.Decision:
        return self.ask(now, decisions.DecideRequest(features=decision_pb2.Features(numbers=numbers)))

    def ask(self, now: datetime, request: decisions.DecideRequest) -> decision_pb2.Decision:
        request.lead_id = "lead"
        made = self._decisions.Decide(request, metadata=self.at(now)).decision
        verified = self._decisions.VerifyDecision(
            decisions.VerifyDecisionRequest(decision_id=made.decision_id), metadata=self.at(now)
        )
        assert verified.match, list(verified.mismatches)
        return made

    def assessed_at(self, now: datetime, **numbers: float) -> datetime:
        return self.decide(now, **numbers).assessment.assessed_at.ToDatetime(UTC)

    def visit(self, now: datetime) -> None:
        event = lead_pb2.LeadEvent(event_id=now.isoformat(), lead_id="lead", type="site_visit")
        event.occur_time.FromDatetime(now)
        self._leads.RecordEvents(messages.RecordEventsRequest(events=[event]), metadata=self.at(now))


@pytest.fixture
def lead(channel: grpc.Channel, tenant: str) -> Lead:
    return Lead(channel, tenant)


def test_an_assessment_is_used_again_for_five_minutes_while_nothing_changed(lead: Lead) -> None:
    first = lead.decide(NOW, **LIVELY).assessment
    again = lead.decide(NOW + 5 * MINUTES - timedelta(milliseconds=1), **LIVELY).assessment
    assert again == first
    assert lead.assessed_at(NOW + 5 * MINUTES, **LIVELY) == NOW + 5 * MINUTES


def test_a_feature_that_changed_is_assessed_at_once(lead: Lead) -> None:
    lead.decide(NOW, **LIVELY)
    assert lead.assessed_at(NOW + MINUTES, **LIVELY | {"active_days_30": 21}) == NOW + MINUTES
    assert lead.assessed_at(NOW + 2 * MINUTES) == NOW + MINUTES


def test_an_event_ends_an_assessment(lead: Lead) -> None:
    lead.visit(NOW)
    assert lead.assessed_at(NOW + MINUTES) == NOW
    lead.visit(NOW + 2 * MINUTES)
    assert lead.assessed_at(NOW + 3 * MINUTES) == NOW + 2 * MINUTES


def test_a_granted_contact_ends_an_assessment(lead: Lead) -> None:
    granted = lead.decide(NOW, days_since_last_activity=25, active_days_30=1)
    assert granted.verdict == decision_pb2.VERDICT_CONTACT
    assert lead.assessed_at(NOW + MINUTES) == NOW + MINUTES


def test_no_assessment_outlives_its_day(lead: Lead) -> None:
    midnight = datetime(2026, 3, 3, tzinfo=UTC)
    lead.decide(midnight - MINUTES, **LIVELY)
    assert lead.assessed_at(midnight - timedelta(milliseconds=1)) == midnight - MINUTES
    assert lead.assessed_at(midnight) == midnight


def test_an_explanation_is_of_an_assessment_made_for_it(lead: Lead) -> None:
    lead.decide(NOW, **LIVELY)
    explained = lead.ask(NOW + MINUTES, decisions.DecideRequest(explain=True)).assessment
    assert explained.assessed_at.ToDatetime(UTC) == NOW + MINUTES
    assert explained.factors
