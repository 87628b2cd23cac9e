"""Compiled modules beside their sources: never older than what is written."""

import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from server.native import ChangedSinceCompiledError, check_compiled


def module(root: Path, name: str, *, written: int, compiled: int | None) -> None:
    """Put a module there, with the seconds at which it was written and compiled."""
    source = root / f"{name}.py"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.touch()
    os.utime(source, (written, written))
    if compiled is not None:
        made = source.with_suffix(EXTENSION_SUFFIXES[0])
        made.touch()
        os.utime(made, (compiled, compiled))


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()


def test_a_module_that_was_not_compiled_may_change(tmp_path: Path) -> None:
    module(tmp_path, "rules/decide", written=100, compiled=None)
    assert check_compiled(tmp_path) == 0


def test_modules_compiled_when_or_after_they_were_written_are_counted(tmp_path: Path) -> None:
    module(tmp_path, "rules/decide", written=100, compiled=100)
    module(tmp_path, "server/road/planner", written=100, compiled=101)
    assert check_compiled(tmp_path) == 2


def test_a_module_written_after_it_was_compiled_is_named(tmp_path: Path) -> None:
    module(tmp_path, "rules/decide", written=100, compiled=101)
    module(tmp_path, "model/survival/curves", written=101, compiled=100)
    with pytest.raises(
        ChangedSinceCompiledError, match=r"^model/survival/curves\.py was changed after it was compiled: `make native`"
    ):
        check_compiled(tmp_path)


def test_a_module_that_is_gone_is_named(tmp_path: Path) -> None:
    module(tmp_path, "rules/decide", written=100, compiled=101)
    (tmp_path / "rules" / "decide.py").unlink()
    with pytest.raises(ChangedSinceCompiledError, match=r"^rules/decide\.py was changed"):
        check_compiled(tmp_path)


def test_a_library_for_another_python_is_nobodys_business(tmp_path: Path) -> None:
    module(tmp_path, "rules/decide", written=101, compiled=None)
    other = tmp_path / "rules" / "decide.cpython-38-other.so"
    other.touch()
    os.utime(other, (100, 100))
    assert check_compiled(tmp_path) == 0


def test_what_is_installed_counts_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").unlink()
    module(tmp_path, "rules/decide", written=101, compiled=100)
    assert check_compiled(tmp_path) == 1
