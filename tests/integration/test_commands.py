"""The commands that ask a running service: what they print, and how they end."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from keepwell.v1 import decision_pb2 as pb
from typer.testing import CliRunner

from server.cli import app
from server.cli.show import decision_lines
from server.models import SHIPPED
from tests.conftest import free_port

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(server: str, tenant: str) -> Run:
    """Runs a command against the server, as the tenant; returns its exit code and what it printed on stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        given = [*arguments, "--server", server, "--tenant", tenant]
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, given)
        return result.exit_code, result.stdout, result.stderr

    return run


def test_decide_prints_the_decision_and_its_reasons(run: Run) -> None:
    code, out, _ = run("decide", "anna", "--probability", "0.7", "--time-zone", "Europe/Berlin", "--request-id", "r")
    head, when, *rest = out.splitlines()
    assert (code, head.split()[:5]) == (0, ["CONTACT", "anna", "active_risk", "(P", "0.700)"])
    assert when == "  leaves: no estimate (PROBABILITY_GIVEN)"
    assert any(line.startswith("  + email: targeted_matches, until ") for line in rest)
    assert "  - sms consultation_offer: NO_CONSENT (consent.sms)" in rest
    assert run("decide", "anna", "--probability", "0.7", "--time-zone", "Europe/Berlin", "--request-id", "r")[1] == out
    code, out, _ = run("decide", "anna", "--probability", "0.7", "--json")
    assert json.loads(out)["decision"]["lead_id"] == "anna"


def test_features_that_are_numbers_and_those_that_are_not_are_told_apart(run: Run) -> None:
    features = ["--feature", "days_since_last_activity=5", "--feature", "source=portal"]
    code, out, _ = run("decide", "bea", *features, "--explain", "--preview")
    assert (code, "  leaves: median " in out, "  ~ " in out) == (0, True, True)
    assert run("lead", "bea") == (1, "", "NOT_FOUND/LEAD_NOT_FOUND: there is no lead with this id\n")
    code, _, said = run("decide", "bea", "--feature", "tall")
    assert (code, said) == (2, "--feature tall: must be NAME=VALUE\n")
    for command in (("decide", "bea"), ("model", "score")):
        code, out, said = run(*command, "--feature", "active_days_30=abc")
        assert (code, out, said) == (2, "", "--feature active_days_30=abc: active_days_30 is a number\n")


def test_a_refusal_is_printed_with_its_fields(run: Run) -> None:
    code, out, said = run("decide", "anna", "--probability", "1.5", "--feature", "age=3")
    assert (code, out) == (1, "")
    assert said.startswith("INVALID_ARGUMENT/INVALID_FIELD: ")
    assert "\n  churn_probability: must be a finite number in [0, 1]\n" in said
    assert '\n  features.numbers["age"]: unknown feature; numbers are days_since_' in said


def test_a_service_that_is_not_there_is_said_to_be_unavailable() -> None:
    result = CliRunner().invoke(app, ["lead", "anna", "--server", f"127.0.0.1:{free_port()}"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("UNAVAILABLE: ")


def test_a_lead_is_shown_and_its_decision_verified(run: Run) -> None:
    made = json.loads(run("decide", "carl", "--probability", "0.5", "--json")[1])["decision"]["decision_id"]
    code, out, _ = run("lead", "carl")
    assert (code, json.loads(out)["assessment"]["stage"]) == (0, "INTERVENTION_STAGE_EARLY_WARNING")
    assert run("verify", made) == (0, f"{made}: made again from its inputs, byte for byte the same\n", "")
    assert json.loads(run("verify", made, "--json")[1]) == {"match": True}
    assert run("verify", "0" * 30)[0] == 1


def test_watch_stops_after_so_many_and_its_token_leaves_nothing_out(run: Run) -> None:
    for name in ("a", "b", "c"):
        run("decide", name, "--probability", "0.5")
    code, out, said = run("watch", "--earliest", "--count", "2", "--json")
    assert (code, [json.loads(line)["lead_id"] for line in out.splitlines()]) == (0, ["a", "b"])
    # All three came in one message, whose token would leave out the third.
    where, _, repeats = said.removeprefix("resume with ").partition(", ")
    assert repeats == "which repeats the last 2\n"
    assert leads_shown(run("watch", *where.split(), "--count", "3")[1]) == ["a", "b", "c"]
    out = run("watch", "--earliest", "--count", "3")[1]
    token = out.splitlines()[3].removeprefix("resume with --after ")
    run("decide", "d", "--probability", "0.5")
    assert leads_shown(run("watch", "--after", token, "--count", "1")[1]) == ["d"]


def test_watch_refuses_a_count_below_none_and_two_places_to_start(run: Run) -> None:
    code, out, said = run("watch", "--earliest", "--count", "-3")
    assert (code, out, "Invalid value for '--count'" in said) == (2, "", True)
    code, out, said = run("watch", "--earliest", "--after", "X", "--count", "1")
    assert (code, out, said) == (2, "", "--earliest, --after: give one of them, each says where to start\n")


@pytest.mark.parametrize("command", [["watch"], ["lead", "anna"], ["model", "list"], ["feed", "check"]])
@pytest.mark.parametrize("tenant", ["ü", "", "Anna", "_a", "a" * 64])
def test_what_no_tenant_is_called_is_refused_with_what_is_allowed(command: list[str], tenant: str) -> None:
    result = CliRunner().invoke(app, [*command, "--tenant", tenant])
    said = f"--tenant {tenant}: must be 1 to 63 lower-case letters, digits, - and _, the first a letter or digit\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said)


@pytest.mark.parametrize("command", [["watch"], ["lead", "anna"], ["model", "list"], ["feed", "check"]])
@pytest.mark.parametrize("server", ["127.0.0.1:99999", "127.0.0.1:0", "127.0.0.1:-1", "nonsense", ":50051", "a:²", ""])
def test_what_is_no_address_is_refused_with_what_is_allowed(command: list[str], server: str) -> None:
    result = CliRunner().invoke(app, [*command, "--server", server])
    said = f"--server {server}: must be HOST:PORT, such as 127.0.0.1:50051, with a port of 1 to 65535\n"
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", said)


@pytest.mark.parametrize("command", ["check", "import"])
def test_a_folder_is_no_file_of_events(tmp_path: Path, command: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["events", command, str(tmp_path)])
    assert (result.exit_code, "is a directory" in result.stderr) == (2, True), result.output


def leads_shown(out: str) -> list[str]:
    return [line.split()[1] for line in out.splitlines() if not line.startswith("resume")]


def test_an_id_that_looks_like_markup_is_printed_as_it_is(run: Run) -> None:
    code, out, _ = run("decide", "x[/]", "--probability", "0.5")
    assert (code, out.split()[1]) == (0, "x[/]")
    code, out, _ = run("watch", "--earliest", "--count", "1")
    assert (code, out.split()[1]) == (0, "x[/]")
    assessment = pb.ChurnRiskAssessment(factors=[pb.Factor(meaning="source", value="[red]")])
    escalation = pb.Escalation(target="[b]", reason="[i]")
    lines = decision_lines(pb.Decision(assessment=assessment, escalation=escalation))
    assert r"  ! \[b]: \[i]" in lines
    assert lines[-1].endswith(r"source: \[red]")


def test_models_are_brought_in_activated_and_taken_back(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("model", "list", "--json")
    shipped = json.loads(out)["version"]
    assert run("model", "show")[1].splitlines()[0].startswith(f"{shipped} scores  (etag ")
    code, out, _ = run("model", "score", "--feature", "days_since_last_activity=60")
    assert (code, out.endswith(f"by model {shipped}\n")) == (0, True)
    code, _, said = run("model", "push", str(tmp_path))
    assert code == 2
    assert said.startswith(f"{tmp_path}: ")
    code, out, _ = run("model", "push", str(SHIPPED))
    assert (code, out.split()[0]) == (0, shipped)
    code, _, said = run("model", "activate", "0" * 32)
    assert (code, said.split(":")[0]) == (1, "NOT_FOUND/MODEL_NOT_FOUND")
    code, _, said = run("model", "rollback")
    assert (code, said.partition("/")[0]) == (1, "FAILED_PRECONDITION")
