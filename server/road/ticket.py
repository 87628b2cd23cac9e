"""Jobs on the road, and the tickets of those who wait for them."""

import asyncio
from collections.abc import Callable, Sequence

from server.road.job import Amendment, Asked, Change, DecideInput, EventInput, Outcome


class Ticket:
    """A caller's batch of jobs: its future is done when the last of them is."""

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop) -> None:
        self.outcomes: list[Outcome | None] = [None] * size
        self.done: asyncio.Future[None] = loop.create_future()
        self._left = size

    def settle(self, place: int, outcome: Outcome) -> None:
        """Note one job's outcome."""
        self.outcomes[place] = outcome
        self._left -= 1
        if self._left == 0 and not self.done.done():
            self.done.set_result(None)


class Job:
    """One lead's errand: a decision (`request`, or `unread` as yet), an `event`, an `amendment`, a change or a look at it (`change`)."""

    __slots__ = (
        "amendment",
        "attempts",
        "change",
        "clock",
        "event",
        "lead_id",
        "note",
        "place",
        "preview",
        "request",
        "tenant",
        "ticket",
        "unread",
    )

    def __init__(
        self,
        tenant: str,
        clock: str,
        lead_id: str,
        ticket: Ticket,
        place: int,
        asked: DecideInput | Asked | None = None,
        change: Change | None = None,
        preview: bool = False,
        event: EventInput | None = None,
        amendment: Amendment | None = None,
        note: "Note | None" = None,
    ) -> None:
        self.tenant = tenant
        self.clock = clock
        self.lead_id = lead_id
        self.ticket = ticket
        self.place = place
        self.unread = asked if isinstance(asked, Asked) else None
        self.request = asked if isinstance(asked, DecideInput) else None
        self.change = change
        self.preview = preview
        self.event = event
        self.amendment = amendment
        self.note = note
        self.attempts = 0

    def settle(self, outcome: Outcome) -> None:
        """Give the job's outcome to whoever waits for it."""
        if self.note is not None:
            self.note(self, outcome)
        self.ticket.settle(self.place, outcome)


Note = Callable[[Job, Outcome], None]  # told what became of a job, in a row for a whole batch


def decision_jobs(
    tenant: str, clock: str, asked: Sequence[DecideInput | Asked], ticket: Ticket, *, preview: bool, note: Note | None
) -> list[Job]:
    """Return a job for each decision that is asked for, in their order."""
    return [
        Job(tenant, clock, each.lead_id, ticket, place, each, preview=preview, note=note)
        for place, each in enumerate(asked)
    ]
