"""`keepwell policy`: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rules.source import content_hash, read_policy
from server.cli import app
from server.policies import SHIPPED

DEFAULT = SHIPPED.read_text()
CASES = """schema: keepwell.policy-tests/v1
cases:
  - name: at [0.5] a mail
    given: {now: "2026-03-02T15:00:00Z", churn_probability: 0.5, lead: {time_zone: Europe/Berlin}}
    want: {verdict: VERDICT}
"""


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["policy", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(DEFAULT)
    return path


def test_check_prints_the_version_of_a_sound_policy(policy: Path) -> None:
    assert run("check", policy) == (0, f"{policy}: version {content_hash(read_policy(DEFAULT))}\n")
    assert run("check", policy, "--json") == (0, "[]\n")


def test_check_prints_every_fault_with_its_place_and_ends_with_1(policy: Path) -> None:
    policy.write_text(DEFAULT.replace("cooldown: 24h", "cooldwn: 24h").replace("max: 3,", "max: -3,"))
    code, output = run("check", policy)
    assert code == 1
    assert f"{policy}:29:" in output
    assert (
        f"{policy}:44:3 error unknown_key escalation.cooldwn: there is no key 'cooldwn' here; did you mean 'cooldown'?"
        in output
    )
    code, output = run("check", policy, "--json")
    assert (code, {found["line"] for found in json.loads(output)}) == (1, {29, 41, 44})


def test_check_prints_a_doubt_and_ends_with_0(policy: Path) -> None:
    policy.write_text(DEFAULT.replace("max: 3, window: {rolling: 7d}", "max: 1, window: {rolling: 7d}"))
    code, output = run("check", policy)
    assert code == 0
    assert "warning limit_contradiction limits[0]: email_weekly allows 1 in a longer window" in output


def test_test_runs_the_cases_beside_the_policy(policy: Path) -> None:
    cases = policy.with_name("own_test.yaml")
    cases.write_text(CASES.replace("VERDICT", "contact"))
    assert run("test", policy) == (0, "ok   at [0.5] a mail\n1 passed, 0 failed\n")
    cases.write_text(CASES.replace("VERDICT", "no_action"))
    code, output = run("test", policy)
    assert code == 1
    assert output.startswith("FAIL at [0.5] a mail\n")
    assert output.endswith("0 passed, 1 failed\n")


def test_test_says_which_file_is_wrong(policy: Path) -> None:
    cases = policy.with_name("own_test.yaml")
    code, output = run("test", policy)
    assert (code, f"No such file or directory: '{cases}'" in output) == (1, True)
    cases.write_text(CASES.replace("churn_probability: 0.5", "churn_probability: 1.5"))
    code, output = run("test", policy)
    assert (code, output.startswith(f"{cases}:4:")) == (1, True)
    policy.write_bytes(DEFAULT.encode() + b"\xff")
    assert run("test", policy) == (1, f"{policy}:59:1 error not_utf_8: byte 0xff is not UTF-8\n")


def test_explain_lists_the_rules(policy: Path) -> None:
    code, output = run("explain", policy)
    assert code == 0
    assert f"default, version {content_hash(read_policy(DEFAULT))}" in output
    assert "rule.open_complaint_stops_marketing" in output
    policy.write_text(
        DEFAULT.replace("fact: lead.attributes.open_complaint, eq: true", 'fact: lead.region, eq: "[red]"')
    )
    assert "[red]" in run("explain", policy)[1]
    policy.write_text("schema: keepwell.policy/v1")
    code, output = run("explain", policy)
    assert (code, f"{policy}:1:1 error missing_key name: Field required" in output) == (1, True)


def test_schema_is_json_schema_of_a_policy() -> None:
    code, output = run("schema")
    schema = json.loads(output)
    assert (code, schema["$schema"]) == (0, "https://json-schema.org/draft/2020-12/schema")
    assert {"name", "interventions", "limits", "quiet_hours"} <= schema["properties"].keys()
