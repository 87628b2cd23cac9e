"""Ask for a decision: `python decide.py [HOST:PORT] [TENANT]`."""

import sys

from keepwell.v1.decision_pb2 import Features, InterventionChannel, Verdict
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.lead_pb2 import LeadProfile
from keepwell_client import Client

REQUEST = DecideRequest(
    request_id="crm-4710-2026-03-02",  # an id of your own: run this again, and the same decision is answered
    lead_id="lead-4710",
    features=Features(numbers={"days_since_last_activity": 45, "active_days_30": 0}),
    profile=LeadProfile(time_zone="America/New_York", country="US", value=500_000, currency="USD"),
    explain=True,
)


def main(address: str = "127.0.0.1:50051", tenant: str = "") -> None:
    """Print the decision, what it grants, and what speaks for it."""
    with Client(address, tenant) as client:
        answer = client.decide(REQUEST)
    decision = answer.decision
    print(Verdict.Name(decision.verdict), f"{decision.assessment.churn_probability:.3f}", "replayed:", answer.replayed)
    for action in decision.interventions:
        print(" ", InterventionChannel.Name(action.channel), action.playbook, action.expire_time.ToJsonString())
    for factor in decision.assessment.factors[:3]:
        print(" ", factor.feature, factor.value, f"{factor.contribution:+.2f}")


main(*sys.argv[1:])
