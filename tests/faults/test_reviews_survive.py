from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import (
    decision_pb2,
    decision_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
    lead_service_pb2,
    lead_service_pb2_grpc,
)
from keepwell.v1 import decision_service_pb2 as messages

from server.store.embedded import EmbeddedStore
from tests.conftest import Running, nobody_held_back, start_server

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
LEADS = 300
SCHEDULE = decision_pb2.DECISION_CAUSE_SCHEDULE


def at(now: datetime) -> tuple[tuple[str, str], ...]:
    return (("x-keepwell-now", now.isoformat()),)


def replica(url: str, policy: Path) -> Running:
    return start_server("--redis-url", url, "--clock", "manual", "--policy", str(policy))


def decide(address: str) -> None:
    """Decide about every lead once; early warning is reviewed a day later, when the next contact can be granted."""
    requests = [
        messages.DecideRequest(request_id=f"r{n}", lead_id=f"lead-{n}", churn_probability=0.5) for n in range(LEADS)
    ]
    with grpc.insecure_channel(address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        answers = stub.DecideStream(iter([messages.DecideStreamRequest(requests=requests)]), metadata=at(NOW))
        assert sum(len(answer.results) for answer in answers) == LEADS


def move_clock(address: str, now: datetime) -> None:
    with grpc.insecure_channel(address) as channel:
        stub = lead_service_pb2_grpc.LeadServiceStub(channel)
        stub.GetLead(lead_service_pb2.GetLeadRequest(lead_id="lead-0"), metadata=at(now))


def reviewed(address: str) -> set[str]:
    """Return the leads that were reviewed, once all of them are."""
    found: set[str] = set()
    request = feed_service_pb2.WatchDecisionsRequest(start=feed_service_pb2.FeedStart(earliest=Empty()))
    with grpc.insecure_channel(address) as channel:
        for response in feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(request, timeout=60):
            found |= {decision.lead_id for decision in response.decisions if decision.cause == SCHEDULE}
            if len(found) == LEADS:
                return found
    raise AssertionError("the feed ended")


def test_another_replica_reviews_what_a_killed_one_had_taken(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path)
    policy = nobody_held_back(tmp_path)
    try:
        first = replica(store.url, policy)
        decide(first.address)
        move_clock(first.address, NOW + timedelta(days=1))
        first.stop(9)  # somewhere in the middle of its reviews
        second = replica(store.url, policy)
        move_clock(second.address, NOW + timedelta(days=1, seconds=30))
        assert len(reviewed(second.address)) == LEADS
        assert second.stop() == 0
    finally:
        store.stop()
