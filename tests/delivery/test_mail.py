import pytest
from keepwell.v1.decision_pb2 import INTERVENTION_CHANNEL_EMAIL as EMAIL
from keepwell.v1.decision_pb2 import INTERVENTION_CHANNEL_SMS as SMS
from keepwell.v1.decision_pb2 import InterventionChannel
from keepwell.v1.lead_pb2 import CONSENT_STATE_WITHDRAWN
from keepwell.v1.lead_service_pb2 import SetConsentRequest
from keepwell_client import Client

from tests.conftest import free_port
from tests.delivery.desk import Desk
from tests.delivery.mailbox import Mailbox


def test_a_mail_arrives_with_what_the_template_says_and_the_service_knows(mailing: Desk, mailbox: Mailbox) -> None:
    decision = mailing.decide()
    assert mailing.deliver(decision) is None
    (mail,) = mailbox.mails
    key = decision.interventions[0].intervention_id
    assert (mailbox.recipients, mail["To"], mail["From"]) == (
        ["ada@example.com"],
        "ada@example.com",
        "Care <care@example.org>",
    )
    assert (mail["Subject"], mail["Message-ID"]) == ("About lead", f"<{key}@example.org>")
    assert mail.get_payload() == "You are 50 % gone (early_warning).\r\n"
    assert mailing.ended(decision) == ("sent", "", True)
    assert mailing.used("email_daily") == 1


def test_a_decision_that_comes_again_mails_nobody_again(mailing: Desk, mailbox: Mailbox) -> None:
    decision = mailing.decide()
    assert [mailing.deliver(decision) for _ in range(3)] == [None, None, None]
    assert len(mailbox.mails) == 1


def test_a_mailbox_that_does_not_exist_gives_the_contact_back(mailing: Desk, mailbox: Mailbox) -> None:
    mailbox.rcpt_answers = ["550 5.1.1 ada@example.com: no such user"]
    decision = mailing.decide()
    assert mailing.deliver(decision) is None
    assert mailing.ended(decision) == ("failed", "smtp: 550 5.1.1", False)
    assert mailing.used("email_daily") == 0


def test_a_mail_server_that_is_busy_is_asked_again(mailing: Desk, mailbox: Mailbox) -> None:
    mailbox.rcpt_answers = ["451 4.7.1 greylisted"]
    mailbox.data_answers = ["452 4.3.1 full"]
    decision = mailing.decide()
    assert [mailing.deliver(decision) for _ in range(3)] == [5.0, 10.0, None]
    assert len(mailbox.mails) == 1
    assert mailing.ended(decision) == ("sent", "", True)


def test_a_mail_server_that_is_away_is_asked_again(desk: Desk) -> None:
    desk.channel("email", kind="smtp", host="127.0.0.1", port=free_port(), tls="none", sender="care@example.org")
    assert desk.deliver(desk.decide()) == 5.0


def test_a_server_that_never_answers_the_mail_leaves_it_unknown_and_unrepeated(mailing: Desk, mailbox: Mailbox) -> None:
    mailbox.on_data = lambda server: server.transport.abort()
    decision = mailing.decide()
    assert [mailing.deliver(decision) for _ in range(2)] == [None, None]
    assert len(mailbox.mails) == 1
    assert mailing.ended(decision) == ("unknown", "smtp: SMTPServerDisconnected after the mail went out", None)
    assert mailing.used("email_daily") == 1


def test_nothing_goes_out_before_its_time_and_nothing_at_or_after_it_expires(mailing: Desk, mailbox: Mailbox) -> None:
    decision = mailing.only(EMAIL, probability=0.5)
    action = decision.interventions[0]
    not_before, expires = (stamp.ToMilliseconds() / 1_000 for stamp in (action.not_before, action.expire_time))
    mailing.now = not_before - 0.5
    assert mailing.deliver(decision) == 0.5
    mailing.now = expires
    assert mailing.deliver(decision) is None
    assert mailbox.mails == []
    assert mailing.ended(decision) == ("failed", "expired", False)


def test_the_last_moment_before_it_expires_is_in_time(mailing: Desk, mailbox: Mailbox) -> None:
    decision = mailing.decide()
    mailing.now = decision.interventions[0].expire_time.ToMilliseconds() / 1_000 - 0.001
    assert mailing.deliver(decision) is None
    assert len(mailbox.mails) == 1


def test_a_lead_without_an_address_is_not_mailed(mailing: Desk, mailbox: Mailbox) -> None:
    decision = mailing.decide(sms="+15005550006")
    assert mailing.deliver(decision) is None
    assert mailing.ended(decision) == ("failed", "no email address", False)


def test_an_address_with_a_line_break_is_refused_rather_than_obeyed(mailing: Desk, mailbox: Mailbox) -> None:
    (mailing.folder / "people.csv").write_text('lead_id,email\nlead,"a@example.com\nBcc: b@example.com"\n')
    mailing.settings["addresses"] = {"kind": "csv", "path": "people.csv"}
    decision = mailing.decide()
    assert mailing.deliver(decision) is None
    assert mailing.ended(decision) == ("failed", "smtp: not an address that can be mailed", False)
    assert mailbox.mails == []


@pytest.mark.parametrize(
    ("channel", "mails", "ended"),
    [(EMAIL, 0, ("failed", "consent withdrawn", False)), (SMS, 1, ("sent", "", True))],
    ids=["this channel", "another"],
)
def test_a_lead_that_withdraws_its_consent_while_a_mail_waits_is_not_mailed(
    mailing: Desk, mailbox: Mailbox, channel: InterventionChannel.ValueType, mails: int, ended: tuple[str, str, bool]
) -> None:
    mailbox.rcpt_answers = ["451 4.7.1 greylisted"]
    decision = mailing.decide()
    assert mailing.deliver(decision) == 5.0
    with Client(mailing.address, mailing.tenant) as client:
        client.set_consent(SetConsentRequest(lead_id="lead", channel=channel, state=CONSENT_STATE_WITHDRAWN))
    assert mailing.deliver(decision, 2) is None
    assert len(mailbox.mails) == mails
    assert mailing.ended(decision) == ended
    assert mailing.used("email_daily") == mails


def test_attempts_are_counted_and_end(mailing: Desk, mailbox: Mailbox) -> None:
    mailing.settings["max_attempts"] = 2
    mailbox.rcpt_answers = ["451 4.7.1 no"] * 3
    decision = mailing.decide()
    assert [mailing.deliver(decision) for _ in range(2)] == [5.0, None]
    assert mailing.ended(decision) == ("failed", "given up after 2 attempts, smtp: 451 4.7.1", False)
    assert len(mailbox.rcpt_answers) == 1
