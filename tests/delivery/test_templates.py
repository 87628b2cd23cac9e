from pathlib import Path

import pytest
from keepwell_delivery.config import Config, ConfigError, load
from keepwell_delivery.facts import INTERVENTION_SAMPLE
from keepwell_delivery.receipt import RefusedError
from keepwell_delivery.templates import Templates, TemplatesError

from tests.delivery.desk import Desk
from tests.delivery.mailbox import Mailbox


def faults_of(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text)
    with pytest.raises(TemplatesError) as raised:
        Templates(folder)
    return str(raised.value)


def test_an_unknown_variable_is_named_with_template_and_line(tmp_path: Path) -> None:
    said = faults_of(tmp_path, "letter.text", "Hello\n{% if stage == 'none' %}\n{{ first_name }}\n{% endif %}")
    assert said.startswith("letter.text:3: unknown variable 'first_name'; known: channel, churn_probability, ")


def test_every_fault_of_every_template_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.text").write_text("{{ x }}\n{{ y }}")
    said = faults_of(tmp_path, "b.subject", "{{ lead_id | shout }}").splitlines()
    assert [line.partition(" ")[0] for line in said] == ["a.text:1:", "a.text:2:", "b.subject:1:"]


def test_a_syntax_error_is_named_with_its_line(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "letter.text", "Hello\n{{ lead_id }").startswith("letter.text:2: ")


def test_a_value_that_cannot_be_shown_is_found_at_start(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "letter.text", "one\n{{ priority / 0 }}") == "letter.text:2: division by zero"


def test_templates_cannot_reach_into_python(tmp_path: Path) -> None:
    assert faults_of(tmp_path, "letter.text", "{{ lead_id.__class__.__mro__ }}").startswith("letter.text:1: ")


def test_variables_of_the_templates_own_are_known(tmp_path: Path) -> None:
    (tmp_path / "letter.text").write_text(
        "{% set name = lead_id %}{% for n in range(2) %}{{ name }}{{ n }} {% endfor %}"
    )
    assert Templates(tmp_path).wording("letter", INTERVENTION_SAMPLE).text == "lead-10 lead-11 "


def test_html_is_escaped_and_text_is_not(tmp_path: Path) -> None:
    (tmp_path / "letter.text").write_text("{{ lead_id }}")
    (tmp_path / "letter.html").write_text("{{ lead_id }}")
    wording = Templates(tmp_path).wording("letter", {"lead_id": "<b>"})
    assert (wording.text, wording.html) == ("<b>", "&lt;b&gt;")


def test_a_playbook_without_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"^no template letter\.text$"):
        Templates(tmp_path).wording("letter", INTERVENTION_SAMPLE)


def test_a_template_that_fails_on_a_decision_is_accounted_for(mailing: Desk, mailbox: Mailbox) -> None:
    (mailing.folder / "templates" / "letter.text").write_text(
        "{{ '%.2f' % expected_value }}"
    )  # absent: no lead's value
    decision = mailing.decide()
    assert mailing.deliver(decision) is None
    assert mailing.ended(decision) == ("failed", "template letter.text failed: TypeError", False)
    assert mailbox.mails == []
    assert mailing.used("email_daily") == 0


def config_error(folder: Path, text: str) -> str:
    path = folder / "delivery.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path)
    return str(raised.value).replace(str(path), "delivery.yaml")


def test_a_configuration_names_every_fault(tmp_path: Path) -> None:
    said = config_error(
        tmp_path,
        "addresses: {kind: profile}\n"
        "channels:\n"
        "  email: {kind: smtp, host: localhost, sender: nobody}\n"
        "  sms: {kind: twilio, account_sid: AC7, auth_token: secret, sender: '+1'}\n"
        "concurrency: 0\n",
    ).splitlines()
    assert said[0].startswith("delivery.yaml: channels.email.sender: ")
    assert said[1] == (
        "delivery.yaml: channels.sms.auth_token: Value error, must be env:NAME or file:PATH, so that the file holds no secret"
    )
    assert said[2].startswith("delivery.yaml: concurrency: ")


def test_a_secret_that_is_not_set_is_named(tmp_path: Path) -> None:
    text = "addresses: {kind: http, url: 'http://127.0.0.1/{lead_id}', token: 'env:NOT_SET_ANYWHERE'}\n"
    expected = "delivery.yaml: addresses.http.token: Value error, the variable NOT_SET_ANYWHERE is not set"
    assert config_error(tmp_path, text) == expected


def test_paths_are_seen_from_the_configurations_folder(tmp_path: Path) -> None:
    (tmp_path / "delivery.yaml").write_text("addresses: {kind: csv, path: people.csv}\n")
    config: Config = load(tmp_path / "delivery.yaml")
    assert (config.journal, config.templates) == (tmp_path / "delivery.sqlite3", tmp_path / "templates")
