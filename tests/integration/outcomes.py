"""One tenant that decides and reports outcomes, at a time that is told."""

import uuid
from datetime import UTC, datetime
from itertools import count

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from google.rpc.status_pb2 import Status
from keepwell.v1 import (
    decision_pb2,
    decision_service_pb2_grpc,
    lead_pb2,
    lead_service_pb2,
    lead_service_pb2_grpc,
    outcome_service_pb2_grpc,
)
from keepwell.v1 import decision_service_pb2 as decisions
from keepwell.v1 import outcome_service_pb2 as messages

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)


class Caller:
    """Calls as one tenant."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self.now = NOW
        self._tenant = tenant
        self._names = count()
        self._prefix = uuid.uuid4().hex[:8]
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        self._outcomes = outcome_service_pb2_grpc.OutcomeServiceStub(channel)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-keepwell-tenant", self._tenant), ("x-keepwell-now", self.now.isoformat()))

    def decide(self, lead_id: str = "lead", probability: float = 0.5, zone: str = "UTC") -> decision_pb2.Decision:
        profile = lead_pb2.LeadProfile(time_zone=zone, country="US")
        request = decisions.DecideRequest(lead_id=lead_id, churn_probability=probability, profile=profile)
        return self._decisions.Decide(request, metadata=self.metadata).decision

    def preview(self) -> None:
        """Move the clock, and nothing else."""
        request = decisions.DecideRequest(lead_id="nobody", churn_probability=0.5)
        self._decisions.Preview(request, metadata=self.metadata)

    def consent(self, lead_id: str) -> None:
        request = lead_service_pb2.SetConsentRequest(
            lead_id=lead_id, all=True, state=lead_pb2.CONSENT_STATE_GRANTED, source="form"
        )
        self._leads.SetConsent(request, metadata=self.metadata)

    def granted(self, lead_id: str = "lead", probability: float = 0.5) -> str:
        """Return the first intervention that a decision grants; "" for none."""
        return next((action.intervention_id for action in self.decide(lead_id, probability).interventions), "")

    def view(self, lead_id: str = "lead") -> lead_pb2.LeadView:
        return self._leads.GetLead(lead_service_pb2.GetLeadRequest(lead_id=lead_id), metadata=self.metadata)

    def used(self, limit_name: str, lead_id: str = "lead") -> int:
        return next(row.used for row in self.view(lead_id).headroom if row.limit_name == limit_name)

    def outcome(self, intervention_id: str, name: str, outcome_id: str = "", **fields: object) -> messages.Outcome:
        return messages.Outcome(
            outcome_id=outcome_id or f"{self._prefix}-{next(self._names)}",
            intervention_id=intervention_id,
            outcome=f"INTERVENTION_OUTCOME_{name}",  # type: ignore[arg-type]
            **fields,  # type: ignore[arg-type]
        )

    def report(self, *outcomes: messages.Outcome) -> list[Status]:
        response = self._outcomes.ReportOutcomes(
            messages.ReportOutcomesRequest(outcomes=outcomes), metadata=self.metadata
        )
        assert [ack.index for ack in response.acks] == list(range(len(outcomes)))
        return [ack.status for ack in response.acks]

    def fail_unsent(self, intervention_id: str) -> None:
        (status,) = self.report(self.outcome(intervention_id, "FAILED", was_sent=False))
        assert status.code == 0


def reason(status: Status) -> str:
    """Return a status' reason; "" for OK."""
    info = ErrorInfo()
    return next((info.reason for detail in status.details if detail.Unpack(info)), "")


def fields(status: Status) -> list[tuple[str, str]]:
    """Return a status' bad fields."""
    bad = BadRequest()
    for detail in status.details:
        if detail.Unpack(bad):
            return [(violation.field, violation.description) for violation in bad.field_violations]
    return []
