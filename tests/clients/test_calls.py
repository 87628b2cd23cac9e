import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import error_reason_pb2
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideResponse, GetDecisionRequest, ListDecisionsRequest
from keepwell.v1.lead_pb2 import CONSENT_STATE_WITHDRAWN, LeadEvent, LeadProfile
from keepwell.v1.lead_service_pb2 import GetLeadRequest, SetConsentRequest
from keepwell_client import KeepwellError, errors
from keepwell_client.connection import SERVICE_CONFIG, channel_options

from server.store.embedded import EmbeddedStore
from tests.clients.conftest import Connect
from tests.conftest import free_port, start_server

SERVICE = "keepwell.v1.DecisionService"


def asking(probability: float = 0.5, request_id: str = "") -> DecideRequest:
    return DecideRequest(request_id=request_id, lead_id="lead", churn_probability=probability)


def refused(page: str) -> int:
    """Return how often the server has answered that it is unavailable."""
    lines = urllib.request.urlopen(f"http://{page}/metrics").read().decode().splitlines()
    name = 'keepwell_rpcs_total{code="UNAVAILABLE",method="DecisionService.Decide"} '
    return sum(round(float(line.removeprefix(name))) for line in lines if line.startswith(name))


def test_a_call_without_an_id_of_its_own_gets_one_and_the_request_stays_as_it_was(client: Any) -> None:
    request = asking()
    first, second = client.decide(request), client.decide(request)
    assert request.request_id == ""
    assert first.decision.decision_id != second.decision.decision_id
    assert (first.replayed, second.replayed) == (False, False)


def test_the_same_id_answers_the_same_decision(client: Any) -> None:
    request = asking(request_id="once")
    first, again = client.decide(request), client.decide(request)
    assert first.decision == again.decision
    assert (first.replayed, again.replayed) == (False, True)


def test_a_bad_field_is_an_error_that_names_it_with_what_is_allowed(client: Any) -> None:
    with pytest.raises(errors.InvalidFieldError, match="INVALID_ARGUMENT/INVALID_FIELD") as raised:
        client.decide(asking(1.5, request_id="bad"))
    assert raised.value.field_violations == {"churn_probability": "must be a finite number in [0, 1]"}
    assert (raised.value.request_id, raised.value.is_transient) == ("bad", False)


def test_an_id_used_again_for_something_else_is_an_error_of_its_own(client: Any) -> None:
    client.decide(asking(0.5, request_id="once"))
    with pytest.raises(errors.IdempotencyMismatchError):
        client.decide(asking(0.6, request_id="once"))


def test_any_other_method_is_called_alike(client: Any) -> None:
    with pytest.raises(errors.DecisionNotFoundError):
        client.call(client.decisions.GetDecision, GetDecisionRequest(decision_id="unheard-of"))


def test_a_preview_leaves_nothing_behind(client: Any) -> None:
    assert client.preview(asking(0.1)).decision.verdict == pb.VERDICT_NO_ACTION
    assert not client.call(client.decisions.ListDecisions, ListDecisionsRequest(lead_id="lead")).decisions


def test_profiles_consent_and_events_reach_the_lead(client: Any) -> None:
    assert client.upsert_leads([LeadProfile(lead_id="lead", time_zone="Europe/Paris")]).upserted == 1
    consent = SetConsentRequest(lead_id="lead", channel=pb.INTERVENTION_CHANNEL_SMS, state=CONSENT_STATE_WITHDRAWN)
    assert client.set_consent(consent).consent[0].state == CONSENT_STATE_WITHDRAWN
    visited = Timestamp()
    visited.GetCurrentTime()
    event = LeadEvent(event_id="visit", lead_id="lead", type="site_visit", occur_time=visited)
    assert client.record_events([event]).accepted == 1
    assert client.record_events([event]).duplicates == 1
    view = client.call(client.leads.GetLead, GetLeadRequest(lead_id="lead"))
    assert view.profile.time_zone == "Europe/Paris"


def test_nobody_at_the_address_is_an_error_of_its_own(connect: Connect) -> None:
    with pytest.raises(errors.UnreachableError) as raised:
        connect("127.0.0.1:1", deadline_seconds=20).decide(asking(request_id="lost"))
    assert (raised.value.code, raised.value.reason, raised.value.request_id) == ("UNAVAILABLE", "", "lost")


def test_a_deadline_that_passes_is_an_error_of_its_own(connect: Connect, server: str, tenant: str) -> None:
    with pytest.raises(errors.DeadlineExceededError):
        connect(server, tenant, deadline_seconds=0.000_001).decide(asking())


@pytest.mark.parametrize("reason", error_reason_pb2.ErrorReason.keys()[1:])
def test_every_reason_of_the_contract_is_an_exception(reason: str) -> None:
    name = reason.removeprefix("ERROR_REASON_")
    kind = KeepwellError.kinds[name]
    assert kind.__name__ == name.title().replace("_", "") + "Error"


def test_a_call_is_tried_five_times_while_the_store_is_away_and_succeeds_when_it_is_back(
    tmp_path: Path, connect: Connect
) -> None:
    store = EmbeddedStore.start(tmp_path)
    page = f"127.0.0.1:{free_port() + 1}"
    running = start_server("--redis-url", store.url, environment={"KEEPWELL_METRICS_LISTEN": page})
    client = connect(running.address)
    store.stop()
    with pytest.raises(errors.StateUnavailableError) as raised:
        client.decide(asking())
    assert raised.value.retry_seconds == 0.5
    assert refused(page) == 5
    answers: list[Any] = []
    calling = Thread(target=lambda: answers.append(client.decide(asking(request_id="patient"))))
    calling.start()
    while refused(page) < 6:
        time.sleep(0.02)
    again = EmbeddedStore.start(tmp_path)
    calling.join()
    assert answers[0].replayed is False
    assert running.stop() == 0
    again.stop()


def test_five_attempts_outlast_the_longest_wait_for_a_connection() -> None:
    # gRPC draws each wait from 0.8 to 1.2 of what is configured. Else the first call finds a service that is back still unreachable.
    assert (dict(channel_options())["grpc.max_reconnect_backoff_ms"], 1.2 * 0.5 < 0.8 * (0.1 + 0.2 + 0.4 + 0.8)) == (
        500,
        True,
    )
    policy = SERVICE_CONFIG["methodConfig"][0]["retryPolicy"]
    assert (policy["maxAttempts"], policy["initialBackoff"], policy["backoffMultiplier"]) == (5, "0.1s", 2)


def test_a_call_under_which_the_server_ended_is_made_again_with_the_same_id(connect: Connect) -> None:
    ids = []

    def answer(request: DecideRequest, context: grpc.ServicerContext) -> DecideResponse:
        ids.append(request.request_id)
        if len(ids) == 1:
            context.abort(grpc.StatusCode.CANCELLED, "CANCELLED")  # what gRPC says of calls that outlive a drain
        return DecideResponse(replayed=True)

    decide = grpc.unary_unary_rpc_method_handler(answer, DecideRequest.FromString, DecideResponse.SerializeToString)
    ending = grpc.server(ThreadPoolExecutor(1))
    ending.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {"Decide": decide})])
    port = ending.add_insecure_port("127.0.0.1:0")
    ending.start()
    assert connect(f"127.0.0.1:{port}").decide(asking()).replayed
    assert len(ids) == 2
    assert len(set(ids)) == 1
    ending.stop(None).wait()
