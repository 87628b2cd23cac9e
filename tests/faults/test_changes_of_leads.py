"""Changes of leads whose request cannot be looked up, or remembered: the store is to blame, and a retry makes them once."""

from collections.abc import Iterator
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


KINDS = (
    "lead:*",
    "decision:*",
    "log",
    "events",
    "due",
    "expiring",
    "clock",
    "ceiling:*",
    "day:*",
    "policy:*",
    "model*",
    "tenants",
)


def allow_of_requests(store: Any, *what: str) -> None:
    """Let the server do with its requests' keys this only; with all others, what it likes."""
    store.execute_command("ACL", "SETUSER", "default", "resetkeys", *(f"~*:{kind}" for kind in KINDS), *what)


UPSERT = messages.UpsertLeadsRequest(request_id="r1", leads=[lead_pb2.LeadProfile(lead_id="lead", region="north")])
CONSENT = messages.SetConsentRequest(
    request_id="r2",
    lead_id="lead",
    channel=decision_pb2.INTERVENTION_CHANNEL_SMS,
    state=lead_pb2.CONSENT_STATE_GRANTED,
    source="form",
)


def test_leads_that_were_written_are_not_written_again_when_their_request_could_not_be_remembered(
    store: Any, leads: lead_service_pb2_grpc.LeadServiceStub
) -> None:
    allow_of_requests(store, "~*:request:r1??", "%R~*:request:r1")  # each lead's key ends with a blank and its place
    with pytest.raises(grpc.RpcError) as error:
        leads.UpsertLeads(UPSERT)
    assert reason_of(error.value) == ("UNAVAILABLE", "STATE_UNAVAILABLE")
    assert "it was done, and is done once if it is sent again" in str(error.value.details())
    store.execute_command("ACL", "SETUSER", "default", "allkeys")
    newer = lead_pb2.LeadProfile(lead_id="lead", region="south")
    leads.UpsertLeads(messages.UpsertLeadsRequest(leads=[newer]))
    assert [leads.UpsertLeads(UPSERT).replayed for _ in range(2)] == [True, True]
    assert leads.GetLead(messages.GetLeadRequest(lead_id="lead")).profile.region == "south"
    other = messages.UpsertLeadsRequest(request_id="r1", leads=[newer])
    with pytest.raises(grpc.RpcError) as mismatch:
        leads.UpsertLeads(other)
    assert reason_of(mismatch.value) == ("FAILED_PRECONDITION", "IDEMPOTENCY_MISMATCH")


def test_the_same_lead_twice_in_a_call_is_as_it_was_said_last(leads: lead_service_pb2_grpc.LeadServiceStub) -> None:
    regions = [lead_pb2.LeadProfile(lead_id="lead", region=region) for region in ("north", "south")]
    answer = leads.UpsertLeads(messages.UpsertLeadsRequest(request_id="r3", leads=regions))
    assert (answer.upserted, answer.replayed) == (2, False)
    assert leads.GetLead(messages.GetLeadRequest(lead_id="lead")).profile.region == "south"


def test_a_consent_that_cannot_be_remembered_is_not_given(
    store: Any, leads: lead_service_pb2_grpc.LeadServiceStub
) -> None:
    allow_of_requests(store, "%R~*:request:*")
    with pytest.raises(grpc.RpcError) as error:
        leads.SetConsent(CONSENT)
    assert reason_of(error.value) == ("UNAVAILABLE", "STATE_UNAVAILABLE")
    store.execute_command("ACL", "SETUSER", "default", "allkeys")
    withdrawn = messages.SetConsentRequest(
        request_id="r4", lead_id="lead", channel=CONSENT.channel, state=lead_pb2.CONSENT_STATE_WITHDRAWN
    )
    assert not leads.SetConsent(withdrawn).replayed
    assert [one.state for one in leads.SetConsent(withdrawn).consent] == [lead_pb2.CONSENT_STATE_WITHDRAWN]
    assert not leads.SetConsent(CONSENT).replayed
    assert leads.SetConsent(withdrawn).replayed
    assert [one.source for one in leads.SetConsent(CONSENT).consent] == ["form"]


def test_a_change_whose_request_cannot_be_looked_up_is_not_done(
    store: Any, leads: lead_service_pb2_grpc.LeadServiceStub
) -> None:
    allow_of_requests(store)
    with pytest.raises(grpc.RpcError) as error:
        leads.UpsertLeads(UPSERT)
    assert reason_of(error.value) == ("UNAVAILABLE", "STATE_UNAVAILABLE")
    assert "nothing was changed" in str(error.value.details())
    store.execute_command("ACL", "SETUSER", "default", "allkeys")
    with pytest.raises(grpc.RpcError) as missing:
        leads.GetLead(messages.GetLeadRequest(lead_id="lead"))
    assert reason_of(missing.value) == ("NOT_FOUND", "LEAD_NOT_FOUND")
