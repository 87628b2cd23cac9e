"""The demo's time: it runs as the real one does, and jumps to the next day when everything of a day is done."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST_NOON = datetime(
    2026, 3, 2, 17, tzinfo=UTC
)  # a Monday, noon in New York and nowhere in the United States a quiet hour


class DemoClock:
    """Sets the time, and writes it down for the workers, which are other processes of this machine.

    Args:
        file: Where workers read it.

    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.day = -1
        self.next_day()

    def next_day(self) -> None:
        """Jump to the noon of the next day."""
        self.day += 1
        self._noon = FIRST_NOON + timedelta(days=self.day)
        self._since = time.monotonic()
        new = self._file.with_suffix(".new")
        new.write_text(f"{self._noon.timestamp()} {self._since}")
        new.replace(self._file)

    def now(self) -> datetime:
        """Return the demo's time."""
        return self._noon + timedelta(seconds=time.monotonic() - self._since)


def read_clock(file: Path) -> float:
    """Return the demo's time in seconds since 1970, as another process sees it: the monotonic clock is the machine's."""
    noon, since = map(float, file.read_text().split())
    return noon + time.monotonic() - since
