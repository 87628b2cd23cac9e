"""Carry interventions out and report what became of them: `python report_outcomes.py [HOST:PORT] [TENANT] [COUNT]`.

Without a count it goes on for ever. Start it many times: the processes share the work, and what one of them drops another one gets.
"""

import signal
import sys

from google.rpc.code_pb2 import OK
from keepwell.v1.decision_pb2 import (
    INTERVENTION_OUTCOME_DELIVERED,
    VERDICT_CONTACT,
    InterventionAction,
    InterventionChannel,
)
from keepwell.v1.feed_service_pb2 import Delivery, FeedFilter, SubscribeRequest
from keepwell.v1.outcome_service_pb2 import Outcome
from keepwell_client import EARLIEST, Client, RetryLaterError

CONTACTS = SubscribeRequest(
    subscription="contacts", filter=FeedFilter(verdicts=[VERDICT_CONTACT]), start=EARLIEST, max_attempts=10
)


def carried_out(lead_id: str, action: InterventionAction) -> Outcome:
    """Return what became of an intervention. A delivery may come twice: give your provider the intervention's id, so that it acts once."""
    print(lead_id, InterventionChannel.Name(action.channel), action.playbook)
    outcome = Outcome(outcome_id=f"{action.intervention_id}-delivered", intervention_id=action.intervention_id)
    outcome.outcome = INTERVENTION_OUTCOME_DELIVERED
    return outcome


def main(address: str = "127.0.0.1:50051", tenant: str = "", count: str = "0") -> None:
    """Work until the count, or SIGTERM."""
    with Client(address, tenant) as client:
        handled = 0

        def handle(delivery: Delivery) -> None:
            nonlocal handled
            decision = delivery.decision
            acks = client.report_outcomes(carried_out(decision.lead_id, each) for each in decision.interventions).acks
            if any(ack.status.code != OK for ack in acks):
                raise RetryLaterError(60)
            print("reported:", len(acks))
            handled += 1
            if handled == int(count):
                worker.stop()

        worker = client.worker(CONTACTS, handle)
        signal.signal(signal.SIGTERM, lambda *_: worker.stop())
        worker.run()


main(*sys.argv[1:])
