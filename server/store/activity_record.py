"""A lead's days of activity as columns, for its record, and back: most numbers are small or 0, and a column of them takes few bytes."""

from collections.abc import Sequence
from functools import partial
from itertools import compress
from typing import Any

from model.activity import Activity, DayCounts


def packed_activity(activity: Activity) -> tuple[Any, ...]:
    """Return what the store keeps: the days as columns, their dates counted back from the newest; then the rest."""
    days, *rest = activity
    dates, quarters, *counters = zip(*days, strict=True)
    newest = dates[-1]
    back = bytes([newest - day for day in dates])
    return (newest, back, bytes(quarters), *map(_packed_column, counters)), *rest


def _packed_column(column: tuple[int, ...]) -> Any:
    """Return a number a day; where most are 0, the places of the others and those, or nothing when there are none."""
    zeros = column.count(0)
    if zeros == len(column):
        return b""
    if 2 * zeros <= len(column):
        return _octets(column)
    return bytes(compress(range(len(column)), column)), _octets(tuple(filter(None, column)))


def _octets(numbers: tuple[int, ...]) -> bytes | tuple[int, ...]:
    try:
        return bytes(numbers)
    except ValueError:  # one is negative, or larger than a byte
        return numbers


_day_counts = partial(tuple.__new__, DayCounts)  # half the time of DayCounts._make


def _column(packed: Any, days: int) -> Sequence[int]:
    if not packed:
        return bytes(days)
    if not isinstance(packed[0], bytes):
        numbers: Sequence[int] = packed
        return numbers
    column = [0] * days
    for place, number in zip(*packed, strict=True):
        column[place] = number
    return column


def activity_of(days: Sequence[Any], *rest: int) -> Activity:
    """Return the activity that `packed_activity` packed; what an older record lacks takes its default."""
    newest, back, *columns = days
    dates = [newest - each for each in back]
    columns += [b""] * (len(DayCounts._fields) - 1 - len(columns))  # an older record has fewer
    rows = zip(dates, *[_column(column, len(back)) for column in columns], strict=True)
    return Activity(tuple(map(_day_counts, rows)), *rest)
