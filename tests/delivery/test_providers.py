"""The documented requests of HTTP providers, and their documented errors."""

import pytest
from keepwell.v1.decision_pb2 import (
    INTERVENTION_CHANNEL_AGENT_ASSIGNMENT,
    INTERVENTION_CHANNEL_PHONE,
    INTERVENTION_CHANNEL_SMS,
    Decision,
)
from standardwebhooks.webhooks import Webhook

from tests.conftest import free_port, start_server
from tests.delivery.desk import SECRET, Desk
from tests.delivery.provider import DROP, DROP_HALF_WAY, HANG, Answer, Provider


def key_of(decision: Decision) -> str:
    return decision.interventions[0].intervention_id


@pytest.fixture
def sms(desk: Desk, provider: Provider) -> Desk:
    account = {"account_sid": "AC7", "auth_token": "env:TOKEN", "sender": "+15005550001"}
    desk.channel("sms", kind="twilio", base_url=provider.url, **account)
    provider.usual = Answer(201, {"sid": "SM1", "status": "queued"})
    return desk


@pytest.fixture
def phone(desk: Desk, provider: Provider) -> Desk:
    desk.channel("phone", kind="webhook", url=f"{provider.url}/calls", secret="env:WEBHOOK_SECRET")
    return desk


def test_a_text_is_a_twilio_message(sms: Desk, provider: Provider) -> None:
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert sms.deliver(decision) is None
    (asked,) = provider.asked
    assert asked.path == "/2010-04-01/Accounts/AC7/Messages.json"
    assert asked.form == {"To": "+15005550006", "From": "+15005550001", "Body": "Hello lead"}
    assert asked.headers["authorization"] == "Basic QUM3OnRva2VuLTc="
    assert asked.headers["idempotency-key"] == key_of(decision)
    assert sms.ended(decision) == ("sent", "", True)
    assert sms.used("sms_daily") == 1


def test_a_number_that_is_none_gives_the_contact_back_and_is_not_quoted(sms: Desk, provider: Provider) -> None:
    provider.answers = [
        Answer(400, {"code": 21211, "message": "The 'To' number +15005550006 is not valid", "status": 400})
    ]
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert sms.deliver(decision) is None
    assert sms.ended(decision) == ("failed", "twilio: 400 21211", False)
    assert sms.used("sms_daily") == 0


def test_a_lead_that_told_the_provider_to_stop_has_opted_out(sms: Desk, provider: Provider) -> None:
    provider.answers = [Answer(400, {"code": 21610, "message": "unsubscribed recipient", "status": 400})]
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert sms.deliver(decision) is None
    assert sms.ended(decision) == ("failed", "twilio: 21610", False)
    granted = sms.decide(probability=0.7).interventions
    assert INTERVENTION_CHANNEL_SMS not in [action.channel for action in granted]


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(429, {"code": 20429}, (("Retry-After", "17"),)), 17.0),
        (Answer(429, {"code": 20429}), 5.0),
        (Answer(429, {"code": 20429}, (("Retry-After", "Mon, 02 Mar 2020 12:00:00 GMT"),)), 0.0),
        (Answer(503, {"code": 20503}), 5.0),
        (Answer(500, {}), 5.0),
        (Answer(401, {"code": 20003}), 60.0),
    ],
    ids=["429 with a time", "429 without", "429 with a date", "503", "500", "401"],
)
def test_a_provider_that_did_not_take_it_is_asked_again(
    sms: Desk, provider: Provider, answer: Answer, seconds: float
) -> None:
    provider.answers = [answer]
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert [sms.deliver(decision), sms.deliver(decision, 2)] == [seconds, None]
    assert len(provider.asked) == 2
    assert sms.ended(decision) == ("sent", "", True)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (DROP, "twilio: RemoteProtocolError"),
        (DROP_HALF_WAY, "twilio: RemoteProtocolError"),
        (HANG, "twilio: ReadTimeout"),
        (Answer(504), "twilio: 504"),
    ],
    ids=["dropped", "dropped half way", "hangs", "gateway timed out"],
)
def test_a_text_that_may_have_gone_out_is_not_sent_again(
    sms: Desk, provider: Provider, answer: Answer | str, detail: str
) -> None:
    sms.settings["timeout_seconds"] = 0.5
    provider.answers = [answer]
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert [sms.deliver(decision), sms.deliver(decision, 2)] == [None, None]
    assert len(provider.asked) == 1
    assert sms.ended(decision) == ("unknown", detail, None)
    assert sms.used("sms_daily") == 1


@pytest.mark.parametrize("answer", [DROP, DROP_HALF_WAY, HANG, Answer(502)], ids=str)
def test_a_webhook_that_may_have_arrived_is_sent_again_under_the_same_id(
    phone: Desk, provider: Provider, answer: Answer | str
) -> None:
    phone.settings["timeout_seconds"] = 0.5
    provider.answers = [answer]
    decision = phone.only(INTERVENTION_CHANNEL_PHONE)
    assert [phone.deliver(decision), phone.deliver(decision, 2)] == [5.0, None]
    assert [asked.headers["webhook-id"] for asked in provider.asked] == [key_of(decision)] * 2
    assert phone.ended(decision) == ("sent", "", True)


def test_a_webhook_given_up_after_an_uncertain_attempt_is_not_given_back(phone: Desk, provider: Provider) -> None:
    provider.answers = [DROP, Answer(400)]
    decision = phone.only(INTERVENTION_CHANNEL_PHONE)
    assert [phone.deliver(decision), phone.deliver(decision, 2)] == [5.0, None]
    assert phone.ended(decision) == ("unknown", "webhook: 400", None)


def test_a_call_task_is_a_signed_webhook(phone: Desk, provider: Provider) -> None:
    decision = phone.only(INTERVENTION_CHANNEL_PHONE)
    assert phone.deliver(decision) is None
    (asked,) = provider.asked
    verified = Webhook(SECRET).verify(asked.body, asked.headers)
    assert (asked.path, verified["type"]) == ("/calls", "keepwell.intervention")
    data = verified["data"]
    assert (data["intervention_id"], data["address"], data["playbook"]) == (key_of(decision), "+15005550007", "call")
    assert data["text"].startswith("Call before 20")


def test_a_provider_that_is_away_is_asked_again(phone: Desk) -> None:
    phone.settings["channels"]["phone"]["url"] = f"http://127.0.0.1:{free_port()}/calls"
    decision = phone.only(INTERVENTION_CHANNEL_PHONE)
    assert phone.deliver(decision) == 5.0
    assert not phone.entry(key_of(decision)).uncertain


@pytest.mark.parametrize("body", [["queued"], "queued", None], ids=["a list", "a text", "null"])
def test_a_provider_that_took_it_delivered_it_whatever_else_it_says(
    sms: Desk, provider: Provider, body: object
) -> None:
    provider.usual = Answer(201, body)
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert sms.deliver(decision) is None
    assert sms.ended(decision) == ("sent", "", True)


def test_a_team_gets_a_chat_message_through_apprise(
    desk: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT", provider.url.replace("http", "json") + "/team")
    desk.channel("agent_assignment", kind="chat", url="env:CHAT")
    provider.answers = [Answer(500)]
    decision = desk.only(INTERVENTION_CHANNEL_AGENT_ASSIGNMENT)
    assert [desk.deliver(decision), desk.deliver(decision, 2)] == [5.0, None]
    assert [asked.json["title"] for asked in provider.asked] == ["Visit lead"] * 2
    assert desk.ended(decision) == ("sent", "", True)


def test_one_channel_that_waits_does_not_hold_up_the_others(sms: Desk, provider: Provider) -> None:
    sms.channel("in_app", kind="webhook", url=f"{provider.url}/app", secret="env:WEBHOOK_SECRET")
    provider.answers = [Answer(429, {}, (("Retry-After", "9"),))]
    decision = sms.decide(probability=0.7)
    assert [sms.deliver(decision), sms.deliver(decision, 2)] == [9.0, None]
    assert [asked.path.rpartition("/")[2] for asked in provider.asked] == ["Messages.json", "app", "Messages.json"]


def test_addresses_can_be_looked_up(sms: Desk, provider: Provider) -> None:
    url = f"{provider.url}/people/{{lead_id}}?kind={{address}}"
    sms.settings["addresses"] = {"kind": "http", "url": url, "token": "env:TOKEN"}
    provider.answers = [Answer(503), Answer(body={"address": "+15005550009"})]
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert [sms.deliver(decision), sms.deliver(decision, 2)] == [5.0, None]
    assert provider.asked[0].path == "/people/lead?kind=sms"
    assert provider.asked[0].headers["authorization"] == "Bearer token-7"
    assert provider.asked[2].form["To"] == "+15005550009"


def test_a_service_that_is_away_before_a_text_keeps_it_from_being_sent(sms: Desk, provider: Provider) -> None:
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    address, sms.address = sms.address, f"127.0.0.1:{free_port()}"
    (sms.folder / "people.csv").write_text("lead_id,sms\nlead,+15005550006\n")
    sms.settings["addresses"] = {"kind": "csv", "path": "people.csv"}
    assert sms.deliver(decision) == 5.0
    assert provider.asked == []
    sms.address = address
    assert sms.deliver(decision, 2) is None
    assert sms.ended(decision) == ("sent", "", True)


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 5.0), (2, 10.0), (6, 160.0), (7, 300.0), (99, 300.0)], ids=str)
def test_a_look_up_that_fails_again_is_tried_later_each_time_until_the_contact_has_expired(
    sms: Desk, provider: Provider, attempt: int, seconds: float
) -> None:
    sms.settings["addresses"] = {"kind": "http", "url": f"{provider.url}/people/{{lead_id}}"}
    provider.usual = Answer(503)
    assert sms.deliver(sms.only(INTERVENTION_CHANNEL_SMS), attempt) == seconds


def test_a_redelivery_for_the_last_time_is_accounted_for(sms: Desk, provider: Provider) -> None:
    provider.answers = [Answer(503)]
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    assert sms.deliver(decision, attempt=100) is None
    assert sms.ended(decision) == ("failed", "given up after 1 attempts, twilio: 503", False)


def test_a_service_that_is_away_when_the_text_was_sent_learns_of_the_outcome_later(
    sms: Desk, provider: Provider, store_url: str
) -> None:
    decision = sms.only(INTERVENTION_CHANNEL_SMS)
    ending = start_server("--redis-url", store_url, environment={"KEEPWELL_REVIEWS": "false"})
    provider.on_request = ending.stop
    address, sms.address = sms.address, ending.address
    assert sms.deliver(decision) is not None
    assert not sms.entry(key_of(decision)).reported
    sms.address = address
    assert sms.deliver(Decision()) is None  # a start reports what was left over
    assert sms.ended(decision) == ("sent", "", True)
    assert len(provider.asked) == 1
