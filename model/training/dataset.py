"""What training works on: snapshots by day, whatever they were made from, and which of them test."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from model.simulator import simulate
from model.training.errors import TrainingDataError
from model.training.history import History, simulated
from model.training.silence import ReturnCurve, return_curve
from model.training.snapshots import Snapshot, snapshot, snapshot_days
from model.training.split import usable_test_days

Progress = Callable[[str, float], None]
SNAPSHOTS_SHARE = 0.2  # of the whole training, as progress tells it
SIMULATED_DAYS = 420
LONGEST_HOLE_DAYS = 365  # in a log, between two days with events
LIVES, LIVES_DAYS = 2, 780  # with fewer leads Cox ranks as well as the hazards do


class Dataset(NamedTuple):
    """Snapshots by day, ascending; a snapshot's outcome is known `gap_days` after it, and at `end` those of all are."""

    snapshots: dict[int, Snapshot]
    horizon_days: int
    gap_days: int
    tests: list[int]
    end: int
    described: dict[str, Any]  # for the manifest
    curve: ReturnCurve | None = None
    silence_days: int | None = None
    lives: Sequence[History] = ()  # what the time to churn is learned from


def from_simulator(leads: int, seed: int, horizon_days: int, silence_days: int | None, progress: Progress) -> Dataset:
    """Return a simulated portfolio's snapshots; raises TrainingDataError for a horizon that is too long for it."""
    progress("simulating", 0.0)
    history = simulated(simulate(leads, SIMULATED_DAYS, seed))
    data = from_history(history, horizon_days, silence_days, {"source": "simulator", "leads": leads}, progress)
    # When leads leave takes longer to be seen than whether they do.
    worlds = [simulated(simulate(leads, LIVES_DAYS, seed + 1 + world)) for world in range(LIVES)]
    return data._replace(lives=worlds)


def from_history(
    history: History, horizon_days: int, silence_days: int | None, described: dict[str, Any], progress: Progress
) -> Dataset:
    """Return a log's snapshots; without a silence length, the one that the return curve gives up to the first test day.

    Raises:
        TrainingDataError: The log is too short for the horizon, tells no silence length, or has dates that cannot be.

    """
    _check_dates(history)
    days = snapshot_days(history.length, horizon_days)
    end = history.length - 1
    tests = usable_test_days(days, horizon_days)
    if not tests:
        raise TrainingDataError(
            f"the log is {history.length} days long; a horizon of {horizon_days} days needs at least {_shortest(horizon_days)}: "
            "time to learn from, to calibrate on, to choose by and to test on, one after the other"
        )
    progress("return curve", 0.0)
    curve = return_curve(history, horizon_days, tests[0])
    silence_days = curve.silence_days() if silence_days is None else silence_days
    snapshots = {}
    for place, day in enumerate(days):
        progress("snapshots", SNAPSHOTS_SHARE * place / len(days))
        snapshots[day] = snapshot(history, day, horizon_days, silence_days)
    if history.first_day is not None:
        described = {**described, "first_date": date_of(history.first_day)}
    return Dataset(snapshots, horizon_days, horizon_days, tests, end, described, curve, silence_days, [history])


def _check_dates(history: History) -> None:
    """Raise TrainingDataError for a hole of more than a year: a date such as 1970-01-01, for an unknown one, would be decades of silence."""
    days = np.unique(history.day)
    holes = np.flatnonzero(np.diff(days) > LONGEST_HOLE_DAYS)
    if len(holes):
        before, after = (date_of((history.first_day or 0) + int(days[holes[0] + place])) for place in (0, 1))
        raise TrainingDataError(
            f"nobody did anything from {before} to {after}, for more than a year: one of them is no date of an event; "
            "leave out the rows whose dates are unknown or wrong"
        )


def date_of(day: int) -> str:
    """Return the date of a UTC day since the epoch."""
    return str(np.datetime64(day, "D"))


def _shortest(horizon_days: int) -> int:
    """Return the length of the shortest log with a test day."""
    length = horizon_days
    while not usable_test_days(snapshot_days(length, horizon_days), horizon_days):
        length += 1
    return length
