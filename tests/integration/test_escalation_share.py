import grpc
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc


def test_one_lead_in_twenty_is_escalated_and_the_first_one_always(channel: grpc.Channel, tenant: str) -> None:
    decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
    metadata = (("x-keepwell-tenant", tenant), ("x-keepwell-now", "2026-03-02T17:00:00Z"))
    escalated = []
    for number in range(1, 62):
        request = messages.DecideRequest(lead_id=f"lead-{number}", churn_probability=0.9)
        if decisions.Decide(request, metadata=metadata).decision.HasField("escalation"):
            escalated.append(number)
    assert escalated == [1, 40, 60]
