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
from keepwell.v1 import decision_pb2, feed_service_pb2_grpc, lead_service_pb2_grpc
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


def test_served_features_are_those_of_the_raw_log_bit_for_bit(service: Running, log: list[Purchase]) -> None:
    purchase = event_type("purchase")
    assert purchase is not None
    activities: dict[str, Activity] = {}
    for customer, at, amount in log:
        before = activities.get(customer, Activity())
        activities[customer] = with_event(before, purchase, round(at.timestamp() * 1_000), amount)
    metadata = (("x-keepwell-now", END.isoformat()),)
    with grpc.insecure_channel(service.address) as channel:
        leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        for customer, activity in activities.items():
            view = leads.GetLead(messages.GetLeadRequest(lead_id=customer), metadata=metadata)
            served = [view.features.numbers.get(feature.name, np.nan) for feature in NUMERIC]
            offline = features_of(activity, round(END.timestamp() * 1_000))
            np.testing.assert_array_equal(served, offline, err_msg=customer)


def test_a_silent_portfolio_is_decided_without_being_asked_about(service: Running, log: list[Purchase]) -> None:
    customers = {customer for customer, _, _ in log}
    seen: set[str] = set()
    causes: Counter[int] = Counter()
    stages: dict[str, set[int]] = {customer: set() for customer in customers}
    with grpc.insecure_channel(service.address) as channel:
        # A month later everybody is due.
        later = (("x-keepwell-now", (END + timedelta(days=30)).isoformat()),)
        lead_service_pb2_grpc.LeadServiceStub(channel).GetLead(
            messages.GetLeadRequest(lead_id=log[0][0]), metadata=later
        )
        request = feeds.WatchDecisionsRequest(start=feeds.FeedStart(earliest=Empty()))
        for response in feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(request, timeout=90):
            for decision in response.decisions:
                causes[decision.cause] += 1
                stages[decision.lead_id].add(decision.assessment.stage)
                if decision.decided_at.ToDatetime(UTC) >= END + timedelta(days=30):
                    seen.add(decision.lead_id)
            if seen == customers:
                break
    moved = sum(len(found) > 1 for found in stages.values())
    print(f"{len(customers)} customers, {sum(causes.values())} decisions, {dict(causes)}, {moved} changed stage")
    assert seen == customers
    assert causes[decision_pb2.DECISION_CAUSE_REQUEST] == 0
    assert causes[decision_pb2.DECISION_CAUSE_SCHEDULE] > len(customers)
    assert moved > len(customers) / 2
