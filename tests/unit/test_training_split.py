"""Who may learn from what, and how long a silence means that a lead is gone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.activity import DAY_MS
from model.events import event_type
from model.training.dataset import from_history
from model.training.errors import TrainingDataError
from model.training.history import History, LoggedEvent, logged
from model.training.silence import ReturnCurve, return_curve
from model.training.snapshots import snapshot_days
from model.training.split import judged_origin, usable_test_days


def log_of(days_by_lead: dict[str, list[int]]) -> History:
    visit = event_type("site_visit")
    assert visit is not None
    return logged(
        [
            LoggedEvent(lead, visit, day * DAY_MS, day * DAY_MS, 0.0)
            for lead, days in days_by_lead.items()
            for day in days
        ]
    )


def test_everything_is_learned_before_the_first_test_day_and_known_when_it_is_used() -> None:
    days = snapshot_days(420, 30)
    tests = usable_test_days(days, 30)
    assert tests == [329, 359, 389]
    found = judged_origin(days, 30, 329)
    assert found is not None
    now, before = found
    assert (now.train[-1], now.calibrate, now.matured[-1]) == (269, 299, 299)
    assert (before.train[-1], before.calibrate) == (239, 269)


@given(st.integers(1, 700), st.integers(7, 120))
def test_no_outcome_is_used_before_it_is_known(length: int, horizon: int) -> None:
    days = snapshot_days(length, horizon)
    for test in usable_test_days(days, horizon):
        origins = judged_origin(days, horizon, test)
        assert origins is not None
        now, before = origins
        assert max(now.matured) + horizon <= test
        assert max(now.train) + horizon <= now.calibrate
        assert max(before.matured) + horizon <= now.calibrate
        assert max(before.train) + horizon <= before.calibrate


def test_outcome_windows_of_test_days_do_not_overlap() -> None:
    days = snapshot_days(545, 90)
    assert usable_test_days(days, 90) == [days[-1]]


@pytest.mark.parametrize(("length", "enough"), [(209, False), (210, True)])
def test_a_log_that_is_too_short_says_how_long_it_has_to_be(length: int, enough: bool) -> None:
    history = log_of({"anna": [0, length - 1]})
    if enough:
        assert from_history(history, 30, 42, {}, lambda _what, _share: None).tests == [length - 31]
        return
    with pytest.raises(TrainingDataError, match=r"209 days long; a horizon of 30 days needs at least 210"):
        from_history(history, 30, 42, {}, lambda _what, _share: None)


def test_the_return_curve_is_the_share_of_silences_that_end_within_the_horizon() -> None:
    # A hundred leads are silent for ten days, come back, and are silent again; a hundred others never come back.
    days = {f"back{number}": [0, 10] for number in range(100)} | {f"gone{number}": [0] for number in range(100)}
    log = log_of({**days, "~": [0, 200]})
    early = return_curve(log, 5, 9)  # a silence of five days and the horizon after it are not over by then
    assert (early.silences, early.returned) == ([201] * 4, [0.0] * 4)
    later = return_curve(log, 5, 30)
    assert later.silences[4] == 301
    assert later.returned[3:10] == [0.0, *[100 / 301] * 5, 0.0]


def test_the_silence_length_is_the_first_after_which_at_most_a_quarter_returns() -> None:
    assert ReturnCurve(30, [0.9, 0.26, 0.25, 0.3], [500] * 4).silence_days() == 3
    with pytest.raises(TrainingDataError, match="say --silence-days"):
        ReturnCurve(30, [0.9, 0.26], [500] * 2).silence_days()
