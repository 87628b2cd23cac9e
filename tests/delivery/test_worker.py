"""`keepwell-deliver` as a process, killed and restarted."""

import subprocess
import sys
from threading import Event

import pytest
from keepwell.v1.decision_pb2 import Decision
from keepwell.v1.escalation_service_pb2 import AcknowledgeEscalationRequest, ListEscalationsRequest
from keepwell_client import Client
from standardwebhooks.webhooks import Webhook

from tests.delivery.desk import ACTIVE, CRITICAL, SECRET, Desk
from tests.delivery.mailbox import Mailbox
from tests.delivery.provider import Provider
from tests.delivery.workers import PATIENCE_SECONDS, Workers, until_done

pytestmark = pytest.mark.workers


def kill_at_first(workers: Workers, killed: Event) -> None:
    if not killed.is_set():
        workers.kill()
        killed.set()


def mail_killed_before_it_was_noted(desk: Desk, mailbox: Mailbox, workers: Workers) -> Decision:
    """Have a worker mail, and be killed when the mailbox has the mail, before it can hear so."""
    killed = Event()
    mailbox.on_mail = lambda: kill_at_first(workers, killed)
    decision = desk.decide()
    workers.start()
    assert killed.wait(PATIENCE_SECONDS)
    return decision


def test_a_worker_killed_after_a_mail_went_out_sends_it_once_and_accounts_for_it(
    mailing: Desk, mailbox: Mailbox, workers: Workers
) -> None:
    decision = mail_killed_before_it_was_noted(mailing, mailbox, workers)
    workers.start()
    until_done(mailing)
    assert len(mailbox.mails) == 1
    assert mailing.ended(decision) == ("unknown", "interrupted while sending", None)
    assert mailing.used("email_daily") == 1


def test_without_the_journal_it_would_go_out_twice(mailing: Desk, mailbox: Mailbox, workers: Workers) -> None:
    mail_killed_before_it_was_noted(mailing, mailbox, workers)
    for path in mailing.folder.glob("delivery.sqlite3*"):
        path.unlink()
    workers.start()
    until_done(mailing)
    assert len(mailbox.mails) == 2


def test_a_worker_killed_while_a_webhook_answers_asks_again_under_the_same_id(
    desk: Desk, provider: Provider, workers: Workers
) -> None:
    desk.channel("in_app", kind="webhook", url=provider.url, secret="env:WEBHOOK_SECRET")
    killed = Event()
    provider.on_request = lambda: kill_at_first(workers, killed)
    decision = desk.decide(probability=ACTIVE)
    workers.start()
    assert killed.wait(PATIENCE_SECONDS)
    workers.start()
    until_done(desk)
    key = next(action.intervention_id for action in decision.interventions if action.playbook == "banner")
    assert [asked.headers["webhook-id"] for asked in provider.asked] == [key, key]
    assert desk.entry(key).state.value == "sent"


def test_workers_that_share_a_subscription_share_the_work_and_mail_everybody_once(
    mailing: Desk, mailbox: Mailbox, workers: Workers
) -> None:
    for number in range(40):
        mailing.decide(lead_id=f"lead-{number}", email=f"lead-{number}@example.com")
    workers.start()
    workers.start()
    until_done(mailing)
    assert sorted(mailbox.recipients) == sorted(f"lead-{number}@example.com" for number in range(40))


def test_the_log_names_no_address(mailing: Desk, mailbox: Mailbox, workers: Workers) -> None:
    mailbox.rcpt_answers = ["451 4.2.0 ada@example.com is busy", "550 5.1.1 ada@example.com is unknown"]
    mailing.settings["retry_seconds"] = 0
    mailing.decide()
    workers.start()
    until_done(mailing)
    log = (mailing.folder / "worker.log").read_text()
    assert "contact_retried" in log
    assert "contact_ended" in log
    assert "ada@" not in log


def test_a_manager_is_told_of_an_escalation_once_and_can_acknowledge_it(
    desk: Desk, provider: Provider, workers: Workers
) -> None:
    hook = {"kind": "webhook", "url": provider.url, "secret": "env:WEBHOOK_SECRET"}
    desk.settings["escalations"] = {"manager": hook}
    decision = desk.decide(probability=CRITICAL)
    told = Event()
    provider.on_request = told.set
    workers.start()
    until_done(desk)
    assert told.wait(PATIENCE_SECONDS)
    (asked,) = provider.asked
    notice = Webhook(SECRET).verify(asked.body, asked.headers)
    data = notice["data"]
    assert notice["type"] == "keepwell.escalation"
    assert (data["escalation_id"], data["target"], data["level"]) == (decision.escalation.escalation_id, "manager", 1)
    assert data["subject"] == "lead needs the manager"
    with Client(desk.address, desk.tenant) as client:
        request = AcknowledgeEscalationRequest(escalation_id=data["escalation_id"], by="ada")
        client.call(client.escalations.AcknowledgeEscalation, request)
        (listed,) = client.call(client.escalations.ListEscalations, ListEscalationsRequest()).escalations
    assert listed.acknowledged_by == "ada"
    workers.start()
    until_done(desk)
    assert len(provider.asked) == 1


def test_bad_templates_end_the_command_with_what_is_wrong(mailing: Desk) -> None:
    (mailing.folder / "templates" / "letter.text").write_text("{{ nickname }}")
    options = ["--server", mailing.address, "--config", str(mailing.file()), "--check"]
    command = [sys.executable, "-m", "keepwell_delivery.command", *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("letter.text:1: unknown variable 'nickname'; known: ")
