"""Which clock a call is decided by, and whether the store's can be trusted."""

import time

from server.errors import ClockSkewError


class ClockGuard:
    """Compares the store's clock with the time that has passed here.

    Both are read at every gather. A step of the store's clock, forward or back, would move every window that limits count in, so
    beyond the bound nothing is decided until an operator restarts the service. A manual clock is the operator's own business.
    """

    def __init__(self, bound_seconds: float) -> None:
        self._bound_ms = bound_seconds * 1_000
        self._seen: tuple[int, float] | None = None
        self._manual_now: dict[str, int] = {}  # by tenant: each has a clock of its own

    @staticmethod
    def _passed_ms() -> float:
        # Unlike the monotonic clock this one runs on while a machine sleeps, as the store's does.
        clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return time.clock_gettime(clock) * 1_000

    def check(self, tenant: str, clock: str, now: int) -> None:
        """Raise ClockSkewError when the store's clock and the time that has passed here have parted."""
        if clock != "store":
            self._manual_now[tenant] = max(self._manual_now.get(tenant, 0), now)
            return
        passed = self._passed_ms()
        if self._seen is not None:
            expected = self._seen[0] + passed - self._seen[1]
            if abs(now - expected) > self._bound_ms:
                raise ClockSkewError(f"the store's clock is {now - expected:+.0f} ms off the time that has passed")
        self._seen = (now, passed)

    def estimate(self, tenant: str, clock: str) -> int:
        """Return about now, in milliseconds: what a calendar is first looked up with."""
        known = self._manual_now.get(tenant, 0)
        if clock.isdigit():
            return max(int(clock), known)
        if clock == "manual" and known:
            return known
        if clock == "store" and self._seen is not None:  # whatever the clock here says: a limit's day is the store's
            return int(self._seen[0] + self._passed_ms() - self._seen[1])
        return time.time_ns() // 1_000_000
