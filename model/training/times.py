"""Time to churn, learned from the same histories as the probability: from leads before a cut, and judged by other leads after it.

The cut lies in the middle of a history, so that as much is known of the leads after it as of those before; in a short one later, for what is
said up to the horizon has to have been seen up to the horizon. Every fourth lead is held out of the training, and only these judge.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.snapshot import ACTIVE
from model.survival.cohort import Cohort, Durations, days_until_silence, joined, part_of
from model.survival.comparison import BRIER_DAY, LEAST_LEADS
from model.survival.curves import HORIZON_DAYS
from model.survival.training import train_time_to_churn, without_estimate
from model.training.dataset import Dataset
from model.training.fit import Fitted, Settings, signs
from model.training.history import History, Ints
from model.training.snapshots import FIRST_DAY, snapshot

STEP_DAYS = 20
HELD_OUT = 4


def time_to_churn(folder: Path, data: Dataset, fitted: Fitted, settings: Settings) -> dict[str, Any]:
    """Write the hazard model into an artifact's folder, and return its section `time_to_churn`; where it cannot be made, the reason why."""
    silence_days = data.silence_days
    if not data.lives or silence_days is None:
        return without_estimate("a table of features does not say when leads left")
    length, shortest = min(history.length for history in data.lives), _shortest(silence_days)
    if length < shortest:
        return without_estimate(
            f"the log is {length} days long, and to foresee {HORIZON_DAYS} days it needs {shortest}"
        )
    train, test = [], []
    first = 0
    for history in data.lives:
        known, cut, later = _split(history.length, silence_days)
        train += _cohorts(history, known, cut, first, data, fitted)
        test += _cohorts(history, later, history.length - 1, first, data, fitted)
        first += len(history.categories)
    learned, judging = joined(train), joined(test)
    learned, judging = part_of(learned, learned.leads % HELD_OUT != 0), part_of(judging, judging.leads % HELD_OUT == 0)
    watched = int((judging.durations.known_days > BRIER_DAY).sum())
    if watched < LEAST_LEADS or not learned.durations.observed.any():
        return without_estimate(f"too little is known: {watched} held-out leads were watched for {BRIER_DAY} days")
    return train_time_to_churn(folder, learned, judging, signs(settings), silence_days, settings.seed)


def _split(length: int, silence_days: int) -> tuple[Sequence[int], int, Sequence[int]]:
    """Return the snapshot days to learn from, the last day known of them, and the days to judge by.

    The first of those to learn from is followed by the whole horizon, and each of those to judge by at least BRIER_DAY days that can be told.
    """
    cut = max(length // 2, _earliest_cut(silence_days))
    newest = length - 1 - silence_days - BRIER_DAY - 1
    return range(FIRST_DAY, cut - silence_days, STEP_DAYS), cut, range(cut, (cut + newest) // 2 + 1, 2 * STEP_DAYS)


def _earliest_cut(silence_days: int) -> int:
    return FIRST_DAY + HORIZON_DAYS + silence_days


def _shortest(silence_days: int) -> int:
    """Return the length of the shortest log with a day to judge by."""
    return _earliest_cut(silence_days) + silence_days + BRIER_DAY + 2


def _cohorts(
    history: History, days: Sequence[int], last_known: int, first: int, data: Dataset, fitted: Fitted
) -> list[Cohort]:
    """Return the leads that can be asked about on some days, with what was known by a last one; leads are numbered from `first`."""
    silence_days = data.silence_days or 0
    cohorts = []
    for day in days:
        part = snapshot(history, day, data.horizon_days, silence_days)
        durations = _durations(history, part.leads, day, last_known, silence_days)
        cohorts.append(Cohort(fitted.inputs(part), durations, part.leads + first))
    return cohorts


def _durations(history: History, leads: Ints, day: int, last_known: int, silence_days: int) -> Durations:
    """Return when leads left: by the log's own event for that, else when a long silence began."""
    if history.left is None:
        return days_until_silence(_active(history, last_known)[leads], day, silence_days)
    left, told = history.left.day[leads], history.left.told[leads]
    observed = (left <= last_known) & (told <= last_known)
    days = np.where(observed, left, last_known) - day
    return Durations(days.astype(np.float64), observed, np.full(len(leads), float(last_known - day)))


def _active(history: History, last_known: int) -> NDArray[np.bool_]:
    """Return whether each lead did anything, (leads, days), as it was known by a day."""
    active = np.zeros((len(history.categories), last_known + 1), dtype=bool)
    seen = (history.counts[:, ACTIVE] > 0) & (history.arrived <= last_known)
    active[history.lead[seen], history.day[seen]] = True
    return active
