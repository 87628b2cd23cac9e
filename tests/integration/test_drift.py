import math
from collections.abc import Iterator
from urllib.request import urlopen

import grpc
import pytest
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc

from model.features import CATEGORIES, NUMERIC, number_place
from model.simulator import simulate
from model.training.history import simulated
from model.training.snapshots import Snapshot, snapshot
from tests.artifacts import SILENCE_DAYS, Models, changed, profiled
from tests.conftest import free_port, start_server

A_MESSAGE = 16  # leads of one batch that are all in the sample


@pytest.fixture(scope="module")
def leads() -> Snapshot:
    """Leads of one world on one day."""
    return snapshot(simulated(simulate(4_000, 200, 5)), 150, horizon_days=30, silence_days=SILENCE_DAYS)


def part(leads: Snapshot, first: int) -> Snapshot:
    """Return every second lead."""
    return leads._replace(numeric=leads.numeric[first::2], categories=leads.categories[first::2])


def features(leads: Snapshot, place: int, opens: float) -> pb.Features:
    """Return a lead's features, with some more e-mails opened."""
    numbers = {f.name: float(x) for f, x in zip(NUMERIC, leads.numeric[place], strict=True) if not math.isnan(x)}
    numbers["email_opens_30"] += opens
    named = zip(CATEGORIES, leads.categories[place], strict=True)
    return pb.Features(numbers=numbers, categories={category.name: value for category, value in named})


class Portfolio:
    """Leads that a tenant asks decisions about."""

    def __init__(self, channel: grpc.Channel, tenant: str, leads: Snapshot) -> None:
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._metadata = (("x-keepwell-tenant", tenant),)
        self._leads = leads

    def decide(self, opens: float = 0.0, count: int = 960) -> None:
        def requests() -> Iterator[messages.DecideStreamRequest]:
            for first in range(0, count, A_MESSAGE):
                asked = [
                    messages.DecideRequest(
                        request_id=f"r{place}", lead_id=f"lead-{place}", features=features(self._leads, place, opens)
                    )
                    for place in range(first, first + A_MESSAGE)
                ]
                yield messages.DecideStreamRequest(requests=asked)

        for request in requests():  # one message at a time, so that each is a batch of its own
            (answer,) = self._decisions.DecideStream(iter([request]), metadata=self._metadata, timeout=20)
            assert all(result.HasField("decision") for result in answer.results)

    def preview(self) -> None:
        request = messages.DecideRequest(lead_id="lead", features=features(self._leads, 0, 0.0))
        self._decisions.Preview(request, metadata=self._metadata, timeout=20)


@pytest.fixture
def models(channel: grpc.Channel, tenant: str, leads: Snapshot) -> Models:
    """A tenant whose model knows what it was trained on."""
    found = Models(channel, tenant)
    found.activate(found.push(profiled(part(leads, 0))))
    return found


@pytest.fixture
def portfolio(channel: grpc.Channel, tenant: str, leads: Snapshot) -> Portfolio:
    return Portfolio(channel, tenant, part(leads, 1))


def test_leads_like_those_of_the_training_have_not_drifted(models: Models, portfolio: Portfolio) -> None:
    portfolio.decide()
    drift = models.get().drift
    assert drift.leads == 960
    assert drift.compute_time.ToMilliseconds() >= drift.start_time.ToMilliseconds() > 0
    assert len(drift.feature_psi) == len(NUMERIC) + len(CATEGORIES)
    assert max(drift.feature_psi.values()) < 0.1
    assert drift.score_psi < 0.1


def test_leads_that_the_training_did_not_ask_about_are_no_drift(
    models: Models, channel: grpc.Channel, tenant: str, leads: Snapshot
) -> None:
    others = part(leads, 1)
    numeric = others.numeric.copy()
    numeric[::2, number_place("days_since_last_activity")] = SILENCE_DAYS + 1
    numeric[1::4, number_place("tenure_days")] = 6
    Portfolio(channel, tenant, others._replace(numeric=numeric)).decide()
    drift = models.get().drift
    assert drift.leads == 240  # of 960, half are silent for too long and a quarter are too new
    assert max(drift.feature_psi.values()) < 0.1 > drift.score_psi


def test_a_feature_that_moved_is_seen_and_the_others_are_not(models: Models, portfolio: Portfolio) -> None:
    portfolio.decide(opens=4.0)
    psi = dict(models.get().drift.feature_psi)
    assert psi.pop("email_opens_30") > 0.25
    assert max(psi.values()) < 0.1


def test_drift_is_a_metric_of_the_process(leads: Snapshot, store_url: str, tenant: str) -> None:
    page = f"127.0.0.1:{free_port() + 1}"
    server = start_server("--redis-url", store_url, environment={"KEEPWELL_METRICS_LISTEN": page})
    with grpc.insecure_channel(server.address) as channel:
        models = Models(channel, tenant)
        version = models.activate(models.push(profiled(part(leads, 0)))).version
        Portfolio(channel, tenant, part(leads, 1)).decide(opens=4.0, count=320)
        psi = models.get().drift.feature_psi["email_opens_30"]
    text = urlopen(f"http://{page}/metrics").read().decode()
    labels = f'feature="email_opens_30",tenant="{tenant}",version="{version}"'
    assert f"keepwell_model_drift_psi{{{labels}}} {psi}\n" in text
    assert server.stop() == 0


def test_too_few_leads_say_nothing_about_drift(models: Models, portfolio: Portfolio) -> None:
    portfolio.decide(count=192)
    drift = models.get().drift
    assert (drift.leads, drift.unavailable_reason) == (192, "too few leads scored today and yesterday: 192")
    assert not drift.feature_psi


def test_a_preview_is_not_counted(models: Models, portfolio: Portfolio) -> None:
    portfolio.preview()
    assert models.get().drift.leads == 0


def test_a_model_that_was_trained_without_a_profile_says_so(channel: grpc.Channel, tenant: str) -> None:
    models = Models(channel, tenant)
    assert (
        models.get(models.push(changed(lambda manifest: manifest.pop("profile")))).drift.unavailable_reason
        == "trained without a profile"
    )
