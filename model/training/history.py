"""What leads did, day by day: the one form that every source of events takes before features are computed.

A day's counts are kept for each day on which some of them arrived, since a snapshot sees only what had arrived by then.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from itertools import groupby
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.activity import DAY_MS, Activity, DayCounts, with_event
from model.events import EventType
from model.features import CATEGORIES, FloatArray
from model.simulator import COUNTERS, Portfolio
from model.snapshot import categories_of
from model.training.errors import TrainingDataError

Ints = NDArray[np.int64]
UNKNOWN = ("",) * len(CATEGORIES)
NO_CATEGORIES: Mapping[str, tuple[str, ...]] = MappingProxyType({})


class Mark(Enum):
    """A row of a log that is nothing that the lead did."""

    LEFT = "the lead has left"
    CONTACTED = "we contacted the lead"


class LoggedEvent(NamedTuple):
    """One row of an event log."""

    lead: str
    what: EventType | Mark
    occurred_at: int  # ms
    arrived_at: int  # ms
    value: float = 0.0

    @property
    def day(self) -> int:
        """Return the UTC day since the epoch."""
        return self.occurred_at // DAY_MS

    @property
    def arrival_day(self) -> int:
        """Return the day on which it became known; never before it happened."""
        return max(self.arrived_at, self.occurred_at) // DAY_MS


class Left(NamedTuple):
    """Day of each lead's explicit churn event, and the day on which that arrived; `length` where there is none."""

    day: Ints
    told: Ints


class History(NamedTuple):
    """Daily counts of all leads; days count from the log's first one. Rows are ordered by lead, day and arrival; the last one known counts."""

    categories: list[tuple[str, ...]]  # one entry a lead
    length: int  # days
    lead: Ints
    day: Ints
    arrived: Ints
    counts: FloatArray  # (rows, counters): all of the day that had arrived by then
    closed: Ints  # day on which each lead opted out or left; `length` when it has not
    left: Left | None = None  # when the log has explicit churn events
    first_day: int | None = None  # UTC day since the epoch, when the log is of real days


class DaysSoFar(NamedTuple):
    """Some leads' daily counts, (leads, days, counters), as `features_at` takes them."""

    days: FloatArray


def days_so_far(history: History, first: int, last: int, day: int) -> DaysSoFar:
    """Return the counts of leads first to last (exclusive) that had arrived by the end of a day."""
    rows = slice(*np.searchsorted(history.lead, (first, last)))
    seen = history.arrived[rows] <= day
    days = np.zeros((last - first, day + 1, len(COUNTERS)))
    # Of rows for the same place the last one stays, which is the latest arrival.
    days[history.lead[rows][seen] - first, history.day[rows][seen]] = history.counts[rows][seen]
    return DaysSoFar(days)


def simulated(world: Portfolio) -> History:
    """Return a simulated portfolio's history; everything arrives on the day on which it happens."""
    lead, day = np.nonzero(world.days.any(axis=2))
    length = world.days.shape[1]
    never = np.full(len(world.joined), length)
    return History(categories_of(world), length, lead, day, day, world.days[lead, day], never)


def logged(events: Iterable[LoggedEvent], categories: Mapping[str, tuple[str, ...]] = NO_CATEGORIES) -> History:
    """Return an event log's history; its leads are numbered in the order of their names. Without categories they are unknown.

    Raises:
        TrainingDataError: There are no events.

    """
    rows = sorted(events, key=lambda row: (row.lead, row.day, row.arrival_day))
    if not rows:
        raise TrainingDataError("the log has no events")
    number = {name: place for place, name in enumerate(dict.fromkeys(row.lead for row in rows))}
    zero = min(row.day for row in rows)
    length = max(row.day for row in rows) - zero + 1
    closed, left, told = (np.full(len(number), length) for _ in range(3))
    for row in rows:
        place = number[row.lead]
        if row.what is Mark.LEFT:
            if left[place] == length:  # rows are in the order of their days
                left[place], told[place] = row.day - zero, row.arrival_day - zero
        elif isinstance(row.what, EventType) and row.what.withdraws_consent:
            closed[place] = min(closed[place], row.arrival_day - zero)
    closed = np.minimum(closed, left)
    found = [(number[lead], day - zero, arrived - zero, *counts) for lead, day, arrived, counts in _daily(rows)]
    table = np.array(found, dtype=np.float64).reshape(len(found), 3 + len(COUNTERS))
    lead, day, arrived = table[:, :3].T.astype(np.int64)
    explicit = Left(left, told) if (left < length).any() else None
    known = [categories.get(name, UNKNOWN) for name in number]
    return History(known, length, lead, day, arrived, table[:, 3:], closed, explicit, zero)


def _daily(rows: list[LoggedEvent]) -> Iterator[tuple[str, int, int, tuple[float, ...]]]:
    """Yield lead, day, day of arrival and the counts by then, from the very function that counts events when they are served."""
    for (lead, day), whole_day in groupby(rows, key=lambda row: (row.lead, row.day)):
        activity, contacts = Activity(), 0
        for arrived, group in groupby(whole_day, key=lambda row: row.arrival_day):
            for row in group:
                if isinstance(row.what, EventType):
                    activity = with_event(activity, row.what, row.occurred_at, row.value)
                contacts += row.what is Mark.CONTACTED
            yield lead, day, arrived, _counters(activity.days[0] if activity.days else DayCounts(day), contacts)


def _counters(counts: DayCounts, contacts: int) -> tuple[float, ...]:
    derived = {"active": counts.quarters > 0, "amount": counts.hundredths / 100, "contacts": contacts}
    found = {**counts._asdict(), **derived}
    return tuple(float(found[name]) for name in COUNTERS)
