"""Who may learn from what: splits by time, in which nothing is used before its outcome was known.

Seen from any day, the origin, the snapshots whose outcomes are known by then are matured. The newest of them calibrates, and those that had
matured when it was taken train. The newest matured one also is the judge of how to train: seen from it, the same split is made once more.
"""

from collections.abc import Sequence
from typing import NamedTuple

TEST_SPAN_DAYS = 90


class Origin(NamedTuple):
    """What can be learned at the end of a day."""

    matured: list[int]
    calibrate: int
    train: list[int]


def matured(days: Sequence[int], gap_days: int, origin: int) -> list[int]:
    """Return the snapshot days whose outcomes were known at the end of the origin, ascending."""
    return [day for day in days if day + gap_days <= origin]


def origin_at(days: Sequence[int], gap_days: int, origin: int) -> Origin | None:
    """Return the split at the end of a day; None when too little has matured by then."""
    known = matured(days, gap_days, origin)
    train = matured(days, gap_days, known[-1]) if known else []
    return Origin(known, known[-1], train) if train else None


def judged_origin(days: Sequence[int], gap_days: int, origin: int) -> tuple[Origin, Origin] | None:
    """Return the split at the end of a day and the one at the day of its judge (`calibrate` of the first); None without either."""
    now = origin_at(days, gap_days, origin)
    before = origin_at(days, gap_days, now.calibrate) if now else None
    return (now, before) if now and before else None


def usable_test_days(days: Sequence[int], gap_days: int) -> list[int]:
    """Return the newest days, ascending, whose outcome windows do not overlap and before which enough has matured.

    As many as fit into 90 days, one at least; none when even the newest has too little before it.
    """
    chosen: list[int] = []
    for day in reversed(days):
        fits = not chosen or (len(chosen) < TEST_SPAN_DAYS // gap_days and day + gap_days <= chosen[0])
        if fits and judged_origin(days, gap_days, day):
            chosen.insert(0, day)
    return chosen
