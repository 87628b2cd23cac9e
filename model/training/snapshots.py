"""Snapshots: the leads that can be asked about at the end of a day, their features, and what became of them within the horizon.

Features use what had arrived by then, and the label what happened after; nothing is in both. Who learns from a label before all of it has
arrived sees it `as_known`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.activity import KEPT_DAYS, YOUNGEST_DAYS
from model.features import FloatArray, number_place
from model.snapshot import ACTIVE, features_at
from model.training.history import History, Ints, days_so_far

LONGEST_STEP_DAYS = 30
FIRST_DAY = KEPT_DAYS - 1  # earlier, the longest windows are not full
CHUNK_LEADS = 2_000  # whose days are laid out at once
UNTOLD = np.iinfo(np.int64).max
RECENCY, TENURE, RATE = (number_place(name) for name in ("days_since_last_activity", "tenure_days", "active_rate"))


class Snapshot(NamedTuple):
    """Leads on one day (or several, joined): features (n, k), categories, label (True: churned), which leads, and which day."""

    numeric: FloatArray
    categories: list[tuple[str, ...]]
    churned: NDArray[np.bool_]
    leads: Ints
    day: Ints
    told: Ints  # day on which the log told of a lead that it came back or, with churn events, that it left; UNTOLD when it did not
    everyone: FloatArray  # (m, k): all leads that had begun, also those that cannot be asked about; for models of a whole cohort


def snapshot_days(length: int, horizon_days: int) -> list[int]:
    """Return the days of a log's snapshots, ascending: back from the newest whose horizon is over, at most a month apart."""
    step = min(horizon_days, LONGEST_STEP_DAYS)
    return list(range(length - 1 - horizon_days, FIRST_DAY - 1, -step))[::-1]


def snapshot(history: History, day: int, horizon_days: int, silence_days: int) -> Snapshot:
    """Return a day's eligible leads: active within the silence length, at least a week old, neither opted out nor gone."""
    numeric = _features(history, day)
    recency, tenure = numeric[:, RECENCY], numeric[:, TENURE]
    begun = ~np.isnan(recency)
    open_ = history.closed > day
    eligible = np.flatnonzero(begun & (recency <= silence_days) & (tenure >= YOUNGEST_DAYS) & open_)
    told = _told(history, day, horizon_days)[eligible]
    churned = (told < UNTOLD) == (history.left is not None)
    categories = [history.categories[lead] for lead in eligible]
    days = np.full(len(eligible), day)
    return Snapshot(numeric[eligible], categories, churned, eligible, days, told, numeric[begun])


def _features(history: History, day: int) -> FloatArray:
    leads = len(history.categories)
    firsts = range(0, leads, CHUNK_LEADS)
    parts = [days_so_far(history, first, min(first + CHUNK_LEADS, leads), day) for first in firsts]
    return np.concatenate([features_at(part, day) for part in parts])


def _told(history: History, day: int, horizon_days: int) -> Ints:
    """Return since when the log says what became of leads within the horizon: by its own event for leaving, else by anything that they did."""
    if history.left is not None:
        within = (history.left.day > day) & (history.left.day <= day + horizon_days)
        return np.where(within, history.left.told, UNTOLD)
    after = (history.counts[:, ACTIVE] > 0) & (history.day > day) & (history.day <= day + horizon_days)
    told = np.full(len(history.categories), UNTOLD)
    np.minimum.at(told, history.lead[after], history.arrived[after])
    return told


def as_known(part: Snapshot, day: int) -> Snapshot:
    """Return leads with the labels that the log gave them at the end of a day; what arrived later changes some."""
    late = (part.told > day) & (part.told < UNTOLD)
    return part._replace(churned=part.churned ^ late)


def joined(parts: Sequence[Snapshot]) -> Snapshot:
    """Return several days' leads as one set; `everyone` is the newest day's."""
    return Snapshot(
        np.concatenate([part.numeric for part in parts]),
        [row for part in parts for row in part.categories],
        np.concatenate([part.churned for part in parts]),
        np.concatenate([part.leads for part in parts]),
        np.concatenate([part.day for part in parts]),
        np.concatenate([part.told for part in parts]),
        parts[-1].everyone,
    )
