"""What an operator can get wrong: each fault ends `keepwell-deliver` with 2 and a line that names it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from keepwell_delivery.config import load

from tests.conftest import free_port
from tests.delivery.desk import SECRET
from tests.delivery.provider import Provider

PEOPLE = {"kind": "csv", "path": "people.csv"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that needs a configuration alone."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "people.csv").write_text("lead_id,email\n")
    return tmp_path


def fault_of(folder: Path, configuration: bytes, *options: str) -> str:
    """Return the only line that the command says, when it ends with 2."""
    (folder / "delivery.yaml").write_bytes(configuration)
    options = ("--server", f"127.0.0.1:{free_port()}", "--config", "delivery.yaml", *options)
    command = [sys.executable, "-m", "keepwell_delivery.command", *options]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("journal", "fault"),
    [
        ("missing/delivery.sqlite3", "unable to open database file"),
        ("templates", "unable to open database file"),
        ("people.csv", "file is not a database"),
    ],
)
def test_a_journal_that_cannot_be_opened_is_named(folder: Path, journal: str, fault: str) -> None:
    configuration = json.dumps({"journal": journal, "addresses": PEOPLE}).encode()
    assert fault_of(folder, configuration) == f"journal: {journal}: {fault}"


@pytest.mark.parametrize("listen", ["9464", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:99999"])
def test_an_address_for_metrics_that_is_none_is_named(folder: Path, listen: str) -> None:
    configuration = json.dumps({"addresses": PEOPLE}).encode()
    line = fault_of(folder, configuration, "--metrics-listen", listen)
    assert line.startswith(f"--metrics-listen {listen}: must be HOST:PORT that nobody listens on")


def test_an_address_for_metrics_that_is_in_use_is_named(folder: Path, provider: Provider) -> None:
    listen = provider.url.removeprefix("http://")
    line = fault_of(folder, json.dumps({"addresses": PEOPLE}).encode(), "--metrics-listen", listen)
    assert line.startswith(f"--metrics-listen {listen}: must be HOST:PORT that nobody listens on")


def test_a_configuration_that_is_no_text_is_named(folder: Path) -> None:
    assert fault_of(folder, b"journal: caf\xe9\n") == "delivery.yaml: is no text in UTF-8"


def test_the_file_of_a_secret_is_seen_from_the_configuration_s_folder(folder: Path) -> None:
    (folder / "secret").write_text(f"{SECRET}\n")
    hook = {"kind": "webhook", "url": "http://127.0.0.1:1", "secret": "file:secret"}
    path = folder / "delivery.yaml"
    path.write_text(json.dumps({"addresses": PEOPLE, "channels": {"in_app": hook}}))
    found = load(path).channels.in_app
    assert found
    assert found.secret.get_secret_value() == SECRET
