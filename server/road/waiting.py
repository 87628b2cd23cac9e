"""Jobs that wait for the road: those of callers in their order, and spare ones, which nobody waits for and which let all others pass.

A batch costs about two milliseconds before it decides anything: two round trips, and code that others have pushed out of the caches. So a
batch waits for company where some is to be expected: callers who got their answer come back with the next call, at about the same time.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from server.errors import OverloadedError
from server.road.settings import RoadSettings
from server.road.ticket import Job

SPARE_PART = 4
TICK_SECONDS = 0.001
# A tick may pass while the loop is at other work, with calls behind it that nobody has read yet; and of many callers the first takes longer to
# come back. With less patience, batches of 64 callers fell apart into thirds again and again (measured).
PATIENCE_TICKS = 3
MISSING_A_TICK = 8


class WaitingRoom:
    """What waits, and what is to be expected. Belongs to one event loop."""

    def __init__(self, settings: RoadSettings) -> None:
        self._settings = settings
        self._pending: deque[Job] = deque()
        self._spare: deque[Job] = deque()
        self._occupied = asyncio.Event()  # cleared only where nobody was found
        self._complete = asyncio.Event()
        self._on_the_road = 0  # jobs that somebody waits for
        self._expected = 0  # of these and of those who wait already, how many make the next batch

    def enter(self, jobs: Sequence[Job], *, spare: bool = False) -> None:
        """Let jobs wait, `spare` ones apart.

        Raises:
            OverloadedError: Too much is waiting; nothing was taken on.

        """
        queue = self._spare if spare else self._pending
        if len(queue) + len(jobs) > self._settings.pending_decisions:
            raise OverloadedError("too many decisions are waiting; retry after the delay given")
        queue.extend(jobs)
        self._occupied.set()
        if len(self._pending) >= self._expected:
            self._complete.set()

    async def next_batch(self) -> list[Job]:
        """Return whom the road takes next, at least one job; waits until there is one, and for company."""
        while True:
            await self._occupied.wait()
            if self._expected > 1:  # waiting for a single caller would cost it 7 % (measured), and save nothing
                await self._company()
            if jobs := self._taken():
                return jobs
            self._expected = 0  # they do not come back; whoever comes now goes at once
            self._occupied.clear()

    def leave(self, again: Sequence[Job]) -> None:
        """Note that a batch is through, and let those of its jobs wait that have to go again, before all others."""
        self._expected = min(self._on_the_road + len(self._pending), self._settings.batch_leads)
        self._pending.extendleft(reversed(again))

    def turn_away(self) -> list[Job]:
        """Return all jobs that somebody waits for, which wait no more."""
        jobs = list(self._pending)
        self._pending.clear()
        return jobs

    def _taken(self) -> list[Job]:
        jobs = [self._pending.popleft() for _ in range(min(len(self._pending), self._settings.batch_leads))]
        self._on_the_road = len(jobs)
        # Whoever comes next waits for this batch, so it carries few of the spare ones, but always some.
        jobs += [self._spare.popleft() for _ in range(min(len(self._spare), self._settings.batch_leads // SPARE_PART))]
        return jobs

    async def _company(self) -> None:
        """Wait until all who are expected are here, for as long as some keep coming, and no longer than the setting."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.batch_wait_ms / 1_000
        quiet_ticks = 0
        while (missing := self._expected - len(self._pending)) > 0 and loop.time() < until:
            if quiet_ticks >= PATIENCE_TICKS + missing // MISSING_A_TICK:
                return
            before = len(self._pending)
            self._complete.clear()
            try:
                async with asyncio.timeout(TICK_SECONDS):
                    await self._complete.wait()
            except TimeoutError:
                quiet_ticks = 0 if len(self._pending) > before else quiet_ticks + 1
