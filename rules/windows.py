"""Windows that limits count in: rolling, or the days, weeks and months of a calendar.

A rolling window is half open, (now - length, now]: a contact exactly one length old no longer counts.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from rules.zones import period

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
# The longest that a calendar period can last in any zone: what a calendar means for a lead whose zone is unknown.
LONGEST_MS = {"day": DAY_MS + HOUR_MS, "week": 7 * DAY_MS + HOUR_MS, "month": 31 * DAY_MS + HOUR_MS}


class CountingWindow(NamedTuple):
    """A stretch of time: rolling (`length_ms` > 0) or a calendar's (`calendar`) in a zone; zone `lead` is the lead's own."""

    length_ms: int = 0
    calendar: str = ""
    zone: str = ""

    def start(self, at: int) -> int:
        """Return the first instant that counts at `at`."""
        return at - self.length_ms + 1 if self.length_ms else period(self.zone, self.calendar, at)[0]


@lru_cache(maxsize=4_096)
def window_of(window: CountingWindow, lead_zone: str) -> CountingWindow:
    """Return the window as it is for a lead; for an unknown zone (""), one that contains every zone's."""
    if window.zone != "lead":
        return window
    if not lead_zone:
        return CountingWindow(length_ms=LONGEST_MS[window.calendar])
    return window._replace(zone=lead_zone)


def count(window: CountingWindow, instants: Sequence[int], at: int) -> int:
    """Return how many of the instants lie in the window that ends at `at`."""
    start = window.start(at)
    return sum(1 for instant in instants if instant >= start)


class Use(NamedTuple):
    """How many contacts a limit counts, and the first instant from then on at which one more fits; None: there never is one."""

    used: int
    free_from: int | None


def use_of(window: CountingWindow, instants: Sequence[int], maximum: int, at: int) -> Use:
    """Return how far a limit is used up.

    Args:
        window: Resolved for the lead.
        instants: Ascending; none after `at`.
        maximum: How many the limit allows; 0 allows none, ever.
        at: Now.

    """
    start = window.start(at)
    counted = [instant for instant in instants if instant >= start]
    used = len(counted)
    if maximum == 0:
        return Use(used, None)
    if used < maximum:
        return Use(used, at)
    if window.length_ms:
        return Use(used, counted[used - maximum] + window.length_ms)
    return Use(used, period(window.zone, window.calendar, at)[1])
