"""Take an escalation and close it: `python escalate.py [HOST:PORT] [TENANT]`."""

import sys

from keepwell.v1.decision_pb2 import ESCALATION_STATE_OPEN, EscalationState
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.escalation_service_pb2 import (
    AcknowledgeEscalationRequest,
    ListEscalationsRequest,
    ResolveEscalationRequest,
)
from keepwell.v1.lead_pb2 import LeadProfile
from keepwell_client import Client

# About to leave: the policy calls a manager in.
LEAVING = DecideRequest(
    lead_id="lead-4712", churn_probability=0.95, profile=LeadProfile(time_zone="Europe/Paris", manager="dana")
)


def main(address: str = "127.0.0.1:50051", tenant: str = "") -> None:
    """Print each step."""
    with Client(address, tenant) as client:
        client.decide(LEAVING)
        listing = ListEscalationsRequest(states=[ESCALATION_STATE_OPEN])
        for raised in client.call(client.escalations.ListEscalations, listing).escalations:
            print(raised.lead_id, "goes to", raised.target, "because", raised.reason)
            taking = AcknowledgeEscalationRequest(escalation_id=raised.escalation_id, by="dana")
            taken = client.call(client.escalations.AcknowledgeEscalation, taking)
            print(EscalationState.Name(taken.state), "by", taken.acknowledged_by)
            closing = ResolveEscalationRequest(escalation_id=raised.escalation_id, resolution="called, stays")
            print(EscalationState.Name(client.call(client.escalations.ResolveEscalation, closing).state))


main(*sys.argv[1:])
