"""Ordinary mistakes of whoever starts the service: one line that names the setting, no traceback, nothing of a password."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from server.store.embedded import EmbeddedStore
from tests.conftest import free_port


@pytest.fixture
def client(own_store: EmbeddedStore) -> Iterator[Redis]:
    with Redis.from_url(own_store.url) as opened:
        yield opened
        opened.config_set("requirepass", "")
        opened.replicaof("NO", "ONE")


def served(*options: str, before: str = "") -> "subprocess.CompletedProcess[str]":
    """Return how a service ended that was started after a shell command."""
    command = [sys.executable, "-m", "server", "serve", "--listen", f"127.0.0.1:{free_port()}", *options]
    shell = ["sh", "-c", f'{before or ":"}; KEEPWELL_LOG_LEVEL=error exec "$@"', "sh", *command]
    return subprocess.run(shell, capture_output=True, text=True, check=False, timeout=60)


def test_a_store_that_is_not_there_is_named() -> None:
    port = free_port()
    ended = served("--redis-url", f"redis://127.0.0.1:{port}/0")
    said = f"cannot serve: redis_url: Error 111 connecting to 127.0.0.1:{port}. Connection refused.\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", said)


@pytest.mark.parametrize(
    ("spoil", "where", "said"),
    [
        (
            lambda client: client.config_set("requirepass", "right"),
            "",
            "redis_url: HELLO must be called with the client already",
        ),
        (
            lambda client: client.config_set("requirepass", "right"),
            "wrong",
            "redis_url: invalid username-password pair",
        ),
        (lambda client: client.replicaof("127.0.0.1", "1"), "", "the store is not safe: it is a replica"),
    ],
    ids=["without a password", "with a wrong password", "a replica"],
)
def test_a_store_that_refuses_is_named(
    own_store: EmbeddedStore, client: Redis, spoil: Callable[[Redis], None], where: str, said: str
) -> None:
    spoil(client)
    ended = served("--redis-url", own_store.url.replace("unix://", f"unix://:{where}@") if where else own_store.url)
    assert (ended.returncode, ended.stdout, "Traceback" in ended.stderr) == (1, "", False)
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"cannot serve: {said}")
    assert "wrong" not in line


def test_a_database_that_the_store_lacks_is_named(own_store: EmbeddedStore) -> None:
    ended = served("--redis-url", f"{own_store.url}?db=99")
    assert (ended.returncode, ended.stderr) == (1, "cannot serve: redis_url: DB index is out of range\n")


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, processes: str) -> None:
    (tmp_path / "file").touch()
    ended = served("--data-dir", str(tmp_path / "file"), "--processes", processes)
    said = f"store: data_dir: [Errno 20] Not a directory: '{tmp_path}/file/store'\n"
    assert (ended.returncode, ended.stderr) == (1, said)


def test_a_disk_without_room_is_said_to_be_the_embedded_store_s(tmp_path: Path) -> None:
    ended = served("--data-dir", str(tmp_path), before="ulimit -f 100")
    said = f"cannot serve: data_dir: the embedded store, whose log is {tmp_path}/store/store.log: "
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert (ended.returncode, line.startswith(said)) == (1, True), ended.stderr


@pytest.mark.parametrize(
    ("option", "name", "text", "said"),
    [
        ("--policy", "mine.yaml", "x" * 300_000, "1:1 error too_large: at most 262144 bytes"),
        (
            "--policy-dir",
            "anna.yaml",
            "schema: keepwell.policy/v1\nname: [",
            "3:1 error yaml_syntax: did not find expec",
        ),
        ("--events-dir", "anna.yaml", "schema: [", "2:1 error yaml_syntax: did not find expec"),
    ],
)
def test_a_document_that_cannot_be_used_is_named(
    own_store: EmbeddedStore, tmp_path: Path, option: str, name: str, text: str, said: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    ended = served("--redis-url", own_store.url, option, str(tmp_path if option.endswith("-dir") else file))
    (line,) = [line for line in ended.stderr.splitlines() if not line.startswith("{")]
    assert (ended.returncode, line.startswith(f"cannot serve: {file}:{said}")) == (1, True), ended.stderr
