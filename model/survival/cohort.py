"""Leads on one day, and how long each of them stayed: the labels of every model of time to churn.

A lead leaves at its last activity before `silence_days` days without any. That is known of a day only once as many days have passed
after it, so everybody of a snapshot is censored at the same age: nothing about a lead decides how long it is watched.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray


class Durations(NamedTuple):
    """Days from a snapshot until each lead left, or until it was last known not to have; all of shape (n,)."""

    days: FloatArray  # 0: the silence had begun by the snapshot; how long before is no part of the question
    observed: NDArray[np.bool_]  # False: censored
    known_days: FloatArray  # how far after its snapshot a lead's leaving would be known


class Cohort(NamedTuple):
    """Leads with their model inputs (n, k), what became of them, and which leads they are."""

    inputs: FloatArray
    durations: Durations
    leads: NDArray[np.int64]


def days_until_silence(active: NDArray[np.bool_], day: int, silence_days: int) -> Durations:
    """Return when each lead's first long silence that ends after a day began, counted from that day.

    Args:
        active: Shape (n, days): whether a lead did anything, day by day, up to the last day that is known. Every lead was active by `day`.
        day: Column of the snapshot.
        silence_days: How many days without activity count as having left.

    Raises:
        ValueError: Nothing can be known of this snapshot: fewer than `silence_days` days follow it.

    """
    known = active.shape[1] - 1 - silence_days
    if known < day:
        raise ValueError(f"the snapshot of day {day} needs {silence_days} known days after it")
    count = np.cumsum(active, axis=1)
    silent_after = count[:, silence_days:] == count[:, : known + 1]
    last = day - np.argmax(active[:, day::-1], axis=1)
    begins = silent_after & active[:, : known + 1] & (np.arange(known + 1) >= last[:, None])
    observed = begins.any(axis=1)
    days = np.where(observed, np.maximum(begins.argmax(axis=1) - day, 0), known - day)
    return Durations(days.astype(np.float64), observed, np.full(len(active), float(known - day)))


def joined(cohorts: Sequence[Cohort]) -> Cohort:
    """Return several snapshots as one; a lead may stand in it more than once."""
    durations = Durations(
        np.concatenate([cohort.durations.days for cohort in cohorts]),
        np.concatenate([cohort.durations.observed for cohort in cohorts]),
        np.concatenate([cohort.durations.known_days for cohort in cohorts]),
    )
    inputs = np.concatenate([cohort.inputs for cohort in cohorts])
    return Cohort(inputs, durations, np.concatenate([cohort.leads for cohort in cohorts]))


def part_of(cohort: Cohort, chosen: NDArray[np.bool_]) -> Cohort:
    """Return the chosen rows."""
    days, observed, known_days = cohort.durations
    durations = Durations(days[chosen], observed[chosen], known_days[chosen])
    return Cohort(cohort.inputs[chosen], durations, cohort.leads[chosen])
