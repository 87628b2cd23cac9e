"""Windows that limits count in: rolling, or the days, weeks and months of a calendar.

A rolling window is half open, (now - length, now]: a contact exactly one length old no longer counts.
"""

from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct

from rules.zones import period

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
# The longest that a calendar period can last in any zone: what a calendar means for a lead whose zone is unknown.
LONGEST_MS = {"day": DAY_MS + HOUR_MS, "week": 7 * DAY_MS + HOUR_MS, "month": 31 * DAY_MS + HOUR_MS}


class Stretch(Struct):
    """Where a window lies at an instant: contacts count from `start` on, each for `length_ms`, or (0: a calendar's) all until `end`."""

    start: int
    length_ms: int
    end: int


class CountingWindow(NamedTuple):
    """A stretch of time: rolling (`length_ms` > 0) or a calendar's (`calendar`) in a zone; zone `lead` is the lead's own."""

    length_ms: int = 0
    calendar: str = ""
    zone: str = ""

    def start(self, at: int) -> int:
        """Return the first instant that counts at `at`."""
        return at - self.length_ms + 1 if self.length_ms else period(self.zone, self.calendar, at)[0]

    def stretch(self, at: int) -> Stretch:
        """Return where the window lies at `at`."""
        if self.length_ms:
            return Stretch(self.start(at), self.length_ms, at + 1)
        start, end = period(self.zone, self.calendar, at)
        return Stretch(start, 0, end)


@lru_cache(maxsize=4_096)
def window_of(window: CountingWindow, lead_zone: str) -> CountingWindow:
    """Return the window as it is for a lead; for an unknown zone (""), one that contains every zone's."""
    if window.zone != "lead":
        return window
    if not lead_zone:
        return CountingWindow(length_ms=LONGEST_MS[window.calendar])
    return window._replace(zone=lead_zone)


class Use(Struct):
    """How many contacts a limit counts, and the first instant from then on at which one more fits; None: there never is one."""

    used: int
    free_from: int | None
