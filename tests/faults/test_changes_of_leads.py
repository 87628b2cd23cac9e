"""Changes of a lead whose request cannot be looked up, or remembered: the caller learns that the store is to blame, and a retry succeeds."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from keepwell.v1 import decision_pb2, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import lead_service_pb2 as messages
from redis import Redis

from server.store.embedded import EmbeddedStore
from tests.conftest import start_server
from tests.integration.test_feed import reason_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    started = EmbeddedStore.start(tmp_path / "store")
    with Redis.from_url(started.url) as client:
        yield client
    started.stop()


@pytest.fixture
def leads(store: Any, tmp_path: Path) -> Iterator[lead_service_pb2_grpc.LeadServiceStub]:
    running = start_server("--redis-url", f"unix://{tmp_path}/store/store.sock")
    with grpc.insecure_channel(running.address) as channel:
        yield lead_service_pb2_grpc.LeadServiceStub(channel)
    assert running.stop() == 0


KINDS = ("lead:*", "decision:*", "log", "events", "due", "clock", "ceiling:*", "day:*", "policy:*", "model*", "tenants")


def allow_of_requests(store: Any, what: str) -> None:
    """Let the server do with its requests' keys this only; with all others, what it likes."""
    store.execute_command("ACL", "SETUSER", "default", "resetkeys", *(f"~*:{kind}" for kind in KINDS), *what.split())


UPSERT = messages.UpsertLeadsRequest(request_id="r1", leads=[lead_pb2.LeadProfile(lead_id="lead", region="north")])
CONSENT = messages.SetConsentRequest(
    request_id="r2",
    lead_id="lead",
    channel=decision_pb2.INTERVENTION_CHANNEL_SMS,
    state=lead_pb2.CONSENT_STATE_GRANTED,
    source="form",
)


def test_a_change_that_cannot_be_remembered_is_done_and_may_be_done_again(
    store: Any, leads: lead_service_pb2_grpc.LeadServiceStub
) -> None:
    allow_of_requests(store, "%R~*:request:*")
    for call in (partial(leads.UpsertLeads, UPSERT), partial(leads.SetConsent, CONSENT)):
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert reason_of(error.value) == ("UNAVAILABLE", "STATE_UNAVAILABLE")
        assert "it was done, and may be done again" in str(error.value.details())
    store.execute_command("ACL", "SETUSER", "default", "allkeys")
    assert not leads.UpsertLeads(UPSERT).replayed
    assert not leads.SetConsent(CONSENT).replayed
    assert leads.UpsertLeads(UPSERT).replayed
    view = leads.GetLead(messages.GetLeadRequest(lead_id="lead"))
    assert (view.profile.region, [one.source for one in view.consent]) == ("north", ["form"])


def test_a_change_whose_request_cannot_be_looked_up_is_not_done(
    store: Any, leads: lead_service_pb2_grpc.LeadServiceStub
) -> None:
    allow_of_requests(store, "")
    with pytest.raises(grpc.RpcError) as error:
        leads.UpsertLeads(UPSERT)
    assert reason_of(error.value) == ("UNAVAILABLE", "STATE_UNAVAILABLE")
    assert "nothing was changed" in str(error.value.details())
    store.execute_command("ACL", "SETUSER", "default", "allkeys")
    with pytest.raises(grpc.RpcError) as missing:
        leads.GetLead(messages.GetLeadRequest(lead_id="lead"))
    assert reason_of(missing.value) == ("NOT_FOUND", "LEAD_NOT_FOUND")
