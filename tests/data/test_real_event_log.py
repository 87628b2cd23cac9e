"""A real event log (CDNOW, every 100th customer) goes through the service, and comes out as decisions that nobody asked for."""

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_pb2, feed_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as feeds
from keepwell.v1 import lead_service_pb2 as messages
from typer.testing import CliRunner

from model.activity import Activity, features_of, with_event
from model.events import event_type
from model.features import NUMERIC
from server.cli import app
from tests.conftest import Running, start_server

FILE = Path(os.environ.get("KEEPWELL_DATA", "../shared/data")) / "cdnow_transactions.txt.gz"
pytestmark = [pytest.mark.data, pytest.mark.skipif(not FILE.exists(), reason="KEEPWELL_DATA has no CDNOW")]
END = datetime(1998, 7, 1, tzinfo=UTC)
Purchase = tuple[str, datetime, float]


def purchases() -> list[Purchase]:
    found = []
    with gzip.open(FILE, "rt") as lines:
        for line in lines:
            customer, date, _, amount = line.split()
            if customer.isdigit() and int(customer) % 100 == 0:
                found.append((customer, datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC), float(amount)))
    return sorted(found, key=lambda purchase: purchase[1])


@pytest.fixture(scope="module")
def log() -> list[Purchase]:
    return purchases()


@pytest.fixture(scope="module")
def service(log: list[Purchase], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("cdnow")
    file = folder / "cdnow.csv"
    rows = "\n".join(f"{customer},{at.isoformat()},{amount}" for customer, at, amount in log)
    file.write_text(f"lead_id,occur_time,value\n{rows}\n")
    server = start_server("--data-dir", str(folder / "data"), "--clock", "manual")
    arguments = ["--server", server.address, "--default-type", "purchase", "--replay-clock"]
    result = CliRunner().invoke(app, ["events", "import", str(file), *arguments])
    assert result.output.splitlines()[-1] == f"{len(log):,} recorded, 0 known already, 0 refused"
    yield server
    assert server.stop() == 0


def at(now: datetime) -> tuple[tuple[str, str], ...]:
    return (("x-keepwell-now", now.isoformat()),)


def feed(channel: grpc.Channel) -> list[decision_pb2.Decision]:
    """Return all decisions so far: those before the first heartbeat."""
    request = feeds.WatchDecisionsRequest(start=feeds.FeedStart(earliest=Empty()))
    request.heartbeat.FromSeconds(1)
    found: list[decision_pb2.Decision] = []
    for place, response in enumerate(
        feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(request, timeout=90)
    ):
        if response.checkpoint and place > 0:
            return found
        found += response.decisions
    raise AssertionError("the feed ended")


def review_after(leads: lead_service_pb2_grpc.LeadServiceStub, customer: str, now: datetime) -> lead_pb2.LeadView:
    """Return a lead once nothing is due for it at an instant, to which the call moves the clock."""
    while True:
        view = leads.GetLead(messages.GetLeadRequest(lead_id=customer), metadata=at(now))
        if view.next_review_time.ToDatetime(UTC) > now:
            return view


def test_served_features_are_those_of_the_raw_logs_bit_for_bit(service: Running, log: list[Purchase]) -> None:
    purchase = event_type("purchase")
    assert purchase is not None
    activities: dict[str, Activity] = {}
    for customer, bought_at, amount in log:
        before = activities.get(customer, Activity())
        activities[customer] = with_event(before, purchase, round(bought_at.timestamp() * 1_000), amount)
    with grpc.insecure_channel(service.address) as channel:
        leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        views = {customer: review_after(leads, customer, END) for customer in activities}
        contacts: dict[str, list[int]] = {customer: [] for customer in activities}
        for decision in feed(channel):
            contacts[decision.lead_id] += [decision.decided_at.seconds // 86_400] * len(decision.interventions)
    for customer, activity in activities.items():
        served = [views[customer].features.numbers.get(feature.name, np.nan) for feature in NUMERIC]
        offline = features_of(activity, round(END.timestamp() * 1_000), contacts[customer])
        np.testing.assert_array_equal(served, offline, err_msg=customer)
    assert any(view.features.numbers.get("contacts_30", 0) > 0 for view in views.values())


def test_a_silent_portfolio_is_decided_without_being_asked_about(service: Running, log: list[Purchase]) -> None:
    customers = {customer for customer, _, _ in log}
    later = END + timedelta(days=30)  # everybody is due by then
    with grpc.insecure_channel(service.address) as channel:
        leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        views = {customer: review_after(leads, customer, later) for customer in customers}
        decisions = feed(channel)
    causes = Counter(decision.cause for decision in decisions)
    told = {decision.lead_id: decision.assessment.stage for decision in decisions}  # the newest, of each lead
    # Nobody was at risk before the first event. How many stages a lead is seen in on its way depends on how fast the clock is moved.
    moved = sum(stage != decision_pb2.INTERVENTION_STAGE_NONE for stage in told.values())
    print(f"{len(customers)} customers, {len(decisions)} decisions, {dict(causes)}, {moved} came to be at risk")
    assert {view.assessment.assessed_at.ToDatetime(UTC) for view in views.values()} == {later}
    assert told == {customer: view.assessment.stage for customer, view in views.items()}
    assert causes[decision_pb2.DECISION_CAUSE_REQUEST] == 0
    assert causes[decision_pb2.DECISION_CAUSE_SCHEDULE] > len(customers)
    assert moved > len(customers) / 2
