"""Hours in which a channel stays silent, on the lead's own clock.

A window is blocked time. It belongs to the day on which it begins and may cross midnight; a window that ends when it begins
lasts a whole day.
"""

from collections.abc import Iterable
from typing import NamedTuple

from rules.zones import DAY_MS, MINUTE_MS, next_transition, offset_ms

DAY_MINUTES = 1_440
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
THURSDAY = 3  # 1970-01-01


class BlockedHours(NamedTuple):
    """Blocked local time: minutes of the day, and the weekdays (0 is Monday) on which it begins."""

    start: int
    end: int
    days: frozenset[int] = EVERY_DAY

    def covers(self, local: int) -> bool:
        """Return whether a local time is blocked."""
        minute = local // MINUTE_MS % DAY_MINUTES
        weekday = (local // DAY_MS + THURSDAY) % 7
        if self.start < self.end:
            return weekday in self.days and self.start <= minute < self.end
        return (weekday in self.days and minute >= self.start) or ((weekday - 1) % 7 in self.days and minute < self.end)

    def next_mark(self, local: int) -> int:
        """Return the next local time at which `covers` may change; at most a day ahead."""
        minute = local // MINUTE_MS % DAY_MINUTES
        marks = (mark for mark in (self.start, self.end, DAY_MINUTES) if mark > minute)
        return local // DAY_MS * DAY_MS + min(marks) * MINUTE_MS


def minutes(text: str) -> int:
    """Return `HH:MM` as minutes of the day; 24:00 is 1440."""
    hours, _, rest = text.partition(":")
    return int(hours) * 60 + int(rest)


def blocked_hours(local: str, days: Iterable[str] | None = None) -> BlockedHours:
    """Return the hours `HH:MM-HH:MM` as blocked time."""
    start, _, end = local.partition("-")
    return BlockedHours(minutes(start), minutes(end), frozenset(map(DAYS.index, days)) if days else EVERY_DAY)


def outside_hours(local: str) -> BlockedHours | None:
    """Return all but the hours `HH:MM-HH:MM` as blocked time; None when nothing is left."""
    start, _, end = local.partition("-")
    opens, closes = minutes(start), minutes(end) % DAY_MINUTES
    return None if opens == closes else BlockedHours(closes, opens or DAY_MINUTES)


def is_inside(inner: str, outer: str) -> bool:
    """Return whether the hours `HH:MM-HH:MM` lie inside others of the same day."""
    inner_start, _, inner_end = inner.partition("-")
    outer_start, _, outer_end = outer.partition("-")
    return minutes(outer_start) <= minutes(inner_start) < minutes(inner_end) <= minutes(outer_end)


def is_blocked(hours: BlockedHours, zones: tuple[str, ...], at: int) -> bool:
    """Return whether an instant is blocked in any of the zones."""
    return any(hours.covers(at + offset_ms(zone, at)) for zone in zones)


def next_change(hours: BlockedHours, zones: tuple[str, ...], at: int) -> int | None:
    """Return the first instant after `at` at which `is_blocked` changes; None if it never does within eight days."""
    before, instant = is_blocked(hours, zones, at), at
    while instant < at + 8 * DAY_MS:
        instant = min(_next_mark(hours, zone, instant) for zone in zones)
        if is_blocked(hours, zones, instant) != before:
            return instant
    return None


def _next_mark(hours: BlockedHours, zone: str, at: int) -> int:
    local = at + offset_ms(zone, at)
    mark = at + hours.next_mark(local) - local
    return next_transition(zone, at, mark) or mark
