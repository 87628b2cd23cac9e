"""A policy is tried in a process of its own first: one that the engine cannot bear ends that process, and not the service."""

import re
from pathlib import Path

import pytest

from rules.canary import check_in_subprocess
from rules.diagnostics import PolicyInvalidError
from server.policies import SHIPPED

DEFAULT = SHIPPED.read_text()


def rejection(source: str, timeout_seconds: float = 20.0) -> str:
    with pytest.raises(PolicyInvalidError) as error:
        check_in_subprocess(source, timeout_seconds)
    (found,) = error.value.diagnostics
    assert (found.severity, found.code, found.line) == ("error", "engine_rejected", 1)
    return found.message


def test_a_sound_policy_passes_whatever_the_locale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    check_in_subprocess(DEFAULT.replace("real-estate leads", "Wohnungssuchende, größere Städte"), 20.0)


def test_a_process_that_takes_too_long_is_ended() -> None:
    assert rejection(DEFAULT, 0.01) == "the engine took longer than 0.01 s"


def test_what_ended_the_process_is_said() -> None:
    assert "unknown_key" in rejection(DEFAULT.replace("cooldown: 24h", "cooldwn: 24h"))


def test_an_engine_that_answers_wrongly_is_rejected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = "import rules.reference\nrules.reference.true_rules = lambda rules, facts: ()\n"
    (tmp_path / "sitecustomize.py").write_text(wrong)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    assert re.fullmatch(r"engine and interpreter differ about \d+ rules, such as: .+ (is|>|<=) .+", rejection(DEFAULT))
