import pytest

from server.errors import ClockSkewError
from server.road.clock import ClockGuard

NOW = 1_772_366_400_000


class Guarded:
    """A guard whose own clock is told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 1_000.0
        monkeypatch.setattr(ClockGuard, "_passed_ms", lambda _guard: self.passed)
        self.guard = ClockGuard(bound_seconds=5.0)
        self.guard.check("t", "store", NOW)


@pytest.mark.parametrize("step", [-5_000, 0, 5_000])
def test_a_store_clock_within_the_bound_is_believed(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    guarded = Guarded(monkeypatch)
    guarded.passed += 60_000
    guarded.guard.check("t", "store", NOW + 60_000 + step)


@pytest.mark.parametrize("step", [-5_001, 5_001, 25 * 3_600_000])
def test_a_store_clock_that_jumped_is_refused_until_a_restart(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    guarded = Guarded(monkeypatch)
    for _ in range(2):
        guarded.passed += 60_000
        with pytest.raises(ClockSkewError):
            guarded.guard.check("t", "store", NOW + int(guarded.passed - 1_000) + step)


def test_a_manual_clock_may_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guarded(monkeypatch).guard
    guard.check("t", "manual", NOW + 10**9)
    assert guard.estimate("t", "manual") == NOW + 10**9


def test_a_tenants_manual_clock_is_no_other_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = Guarded(monkeypatch).guard
    guard.check("ahead", "manual", NOW + 10**9)
    assert guard.estimate("behind", str(NOW)) == NOW


def test_about_now_is_by_the_stores_clock_and_not_by_the_one_here(monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = Guarded(monkeypatch)
    guarded.passed += 1_500
    assert guarded.guard.estimate("t", "store") == NOW + 1_500
    guarded.guard.check("t", "store", NOW + 1_600)
    assert guarded.guard.estimate("another", "store") == NOW + 1_600
