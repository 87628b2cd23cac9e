"""Decisions that together are more than a client takes in one message (4 MB, unless it is told otherwise): many, or those of long rules."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
)

from tests.conftest import start_server

COUNT = 256
EARLIEST = feed_service_pb2.FeedStart(earliest=Empty())
FILLING = "x" * 100
RULES = "".join(
    f"- name: notes_{rule}\n  when:\n    any:\n"
    + "".join(f'    - {{fact: lead.attributes.note, eq: "{rule}-{place}-{FILLING}"}}\n' for place in range(8))
    + "  then: {suppress: {channels: [email]}}\n"
    for rule in range(24)
)
POLICY = f"""\
schema: keepwell.policy/v1
name: long
interventions:
  early_warning: [{{channel: email, playbook: news}}]
  active_risk: [{{channel: email, playbook: offer}}]
  critical_risk: [{{channel: email, playbook: offer}}]
rules:
{RULES}"""


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """A client as it comes, of a service that has decided about 256 leads."""
    folder = tmp_path_factory.mktemp("long")
    policy = folder / "long.yaml"
    policy.write_text(POLICY)
    running = start_server("--data-dir", str(folder / "data"), "--policy", str(policy), port=0)
    with grpc.insecure_channel(running.address) as channel:
        requests = [
            decision_service_pb2.DecideRequest(request_id=f"r{n}", lead_id=f"lead-{n}", churn_probability=0.7)
            for n in range(COUNT)
        ]
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        answers = list(stub.DecideStream(iter([decision_service_pb2.DecideStreamRequest(requests=requests)])))
        assert [result.HasField("decision") for answer in answers for result in answer.results] == [True] * COUNT
        assert sum(answer.ByteSize() for answer in answers) > 4_194_304
        yield channel
    assert running.stop() == 0


def lead_ids(messages: Any, field: str) -> list[str]:
    """Return the leads of a stream's messages, until all have come once."""
    found: list[str] = []
    for message in messages:
        assert message.ByteSize() <= 2_100_000  # the decisions' two million bytes, and what is around them
        found += [each.decision.lead_id if field == "deliveries" else each.lead_id for each in getattr(message, field)]
        if len(found) >= COUNT:
            break
    return found


def test_a_watcher_gets_the_past_in_messages_that_it_takes(decided: grpc.Channel) -> None:
    stub = feed_service_pb2_grpc.FeedServiceStub(decided)
    watching = stub.WatchDecisions(feed_service_pb2.WatchDecisionsRequest(start=EARLIEST), timeout=20)
    assert lead_ids(watching, "decisions") == [f"lead-{n}" for n in range(COUNT)]


def test_a_consumer_gets_all_that_it_takes_at_once_in_messages_that_it_takes(decided: grpc.Channel) -> None:
    stub = feed_service_pb2_grpc.FeedServiceStub(decided)
    request = feed_service_pb2.SubscribeRequest(subscription="s", consumer="c", max_outstanding=COUNT, start=EARLIEST)
    assert lead_ids(stub.Subscribe(request, timeout=20), "deliveries") == [f"lead-{n}" for n in range(COUNT)]


def test_a_live_watcher_gets_what_is_new_in_messages_that_it_takes(decided: grpc.Channel) -> None:
    stub = feed_service_pb2_grpc.FeedServiceStub(decided)
    latest = feed_service_pb2.FeedStart(latest=Empty())
    watching = stub.WatchDecisions(feed_service_pb2.WatchDecisionsRequest(start=latest), timeout=20)
    assert next(watching).checkpoint
    requests = [
        decision_service_pb2.DecideRequest(request_id=f"n{n}", lead_id=f"new-{n}", churn_probability=0.7)
        for n in range(COUNT)
    ]
    decisions = decision_service_pb2_grpc.DecisionServiceStub(decided)
    list(decisions.DecideStream(iter([decision_service_pb2.DecideStreamRequest(requests=requests)])))
    assert lead_ids(watching, "decisions") == [f"new-{n}" for n in range(COUNT)]


def test_a_message_of_1024_requests_is_answered_in_messages_that_any_client_takes(
    channel: grpc.Channel, tenant: str
) -> None:
    stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
    features = decision_pb2.Features(numbers={"days_since_last_activity": 30, "active_days_30": 0})
    asked = [
        decision_service_pb2.DecideRequest(request_id=f"r{n}", lead_id=f"lead-{n}", features=features, explain=True)
        for n in range(1_025)
    ]
    portfolio = [decision_service_pb2.DecideStreamRequest(requests=asked)]
    answers = list(stub.DecideStream(iter(portfolio), metadata=(("x-keepwell-tenant", tenant),)))
    assert sum(answer.ByteSize() for answer in answers) > 4_194_304
    results = [result for answer in answers for result in answer.results]
    assert [result.request_id for result in results] == [f"r{n}" for n in range(1_025)]
    assert [result.request_id for result in results if result.HasField("error")] == ["r1024"]
    assert "requests: must be at most 1024 a message" in results[-1].error.message
