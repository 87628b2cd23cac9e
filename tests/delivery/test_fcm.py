"""Pushes through Firebase, and its documented errors."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from keepwell.v1.decision_pb2 import INTERVENTION_CHANNEL_PUSH

from tests.delivery.desk import Desk
from tests.delivery.provider import Answer, Provider


def fcm_error(status: int, name: str, code: str) -> Answer:
    kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    return Answer(status, {"error": {"code": status, "status": name, "details": [{"@type": kind, "errorCode": code}]}})


@pytest.fixture
def push(desk: Desk, provider: Provider) -> Desk:
    key = generate_private_key(65_537, 2_048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    account = {
        "type": "service_account",
        "client_email": "push@example.org",
        "private_key": key.decode(),
        "token_uri": f"{provider.url}/token",
    }
    Path(desk.folder / "account.json").write_text(json.dumps(account))
    desk.channel("push", kind="fcm", base_url=provider.url, project="p7", service_account_file="account.json")
    provider.answers = [Answer(body={"access_token": "t7", "expires_in": 3_600, "token_type": "Bearer"})]
    provider.usual = Answer(body={"name": "projects/p7/messages/1"})
    return desk


def test_a_push_is_an_fcm_message(push: Desk, provider: Provider) -> None:
    decision = push.only(INTERVENTION_CHANNEL_PUSH)
    key = decision.interventions[0].intervention_id
    assert push.deliver(decision) is None
    _, asked = provider.asked
    assert (asked.path, asked.headers["authorization"]) == ("/v1/projects/p7/messages:send", "Bearer t7")
    message = asked.json["message"]
    assert message["token"] == "device-token"
    assert message["notification"] == {"title": "News", "body": "Look"}
    assert message["data"] == {"intervention_id": key, "playbook": "alert"}
    assert message["android"]["notification"] == {"tag": key}
    assert message["apns"]["headers"]["apns-collapse-id"] == key
    assert push.ended(decision) == ("sent", "", True)


def test_a_device_that_is_gone_gives_the_contact_back(push: Desk, provider: Provider) -> None:
    provider.answers.append(fcm_error(404, "NOT_FOUND", "UNREGISTERED"))
    decision = push.only(INTERVENTION_CHANNEL_PUSH)
    assert push.deliver(decision) is None
    assert push.ended(decision) == ("failed", "fcm: 404 UNREGISTERED", False)


@pytest.mark.parametrize(
    "body",
    [{"error": "upstream"}, {"error": {"details": ["upstream"]}}, {"error": {"details": 7, "status": 7}}, ["upstream"]],
    ids=["a text", "a list of texts", "numbers", "a list"],
)
def test_a_gateway_that_answers_in_a_form_of_its_own_is_asked_again(
    push: Desk, provider: Provider, body: object
) -> None:
    provider.answers.append(Answer(503, body))
    decision = push.only(INTERVENTION_CHANNEL_PUSH)
    assert push.deliver(decision) == 5.0
    provider.answers = [Answer(body={"access_token": "t7", "expires_in": 3_600, "token_type": "Bearer"})]
    assert push.deliver(decision, 2) is None
    assert push.ended(decision) == ("sent", "", True)


def test_a_quota_that_is_used_up_is_waited_for_a_minute(push: Desk, provider: Provider) -> None:
    provider.answers.append(fcm_error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"))
    assert push.deliver(push.only(INTERVENTION_CHANNEL_PUSH)) == 60.0


def test_a_login_that_fails_is_tried_again(push: Desk, provider: Provider) -> None:
    provider.answers = [Answer(400, {"error": "invalid_grant"})]
    assert push.deliver(push.only(INTERVENTION_CHANNEL_PUSH)) == 5.0
    assert len(provider.asked) == 1
