"""A service of which a compiled module is older than its source: it does not start."""

import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from server.native import PACKAGES, ROOT


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_service_that_would_run_what_is_no_longer_written_does_not_start(tmp_path: Path, processes: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "rules" / f"gone{EXTENSION_SUFFIXES[0]}").touch()
    command = [sys.executable, "-m", "server", "serve", "--listen", "127.0.0.1:0", "--processes", processes]
    ended = subprocess.run(
        [*command, "--data-dir", tmp_path / "data"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "cannot serve: rules/gone.py was changed after it was compiled: `make native`" in ended.stderr
    assert "is ready" not in ended.stdout
