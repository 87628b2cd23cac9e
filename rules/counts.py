"""How many of a lead's contacts each limit counts now: all limits at once, as leads that were contacted before are what costs.

Where a window starts is the same for all leads of a moment; which windows a contact can lie in never changes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from rules.decision import Situation
from rules.moment import Moment
from rules.remembered import Remembered
from rules.windows import CountingWindow, window_of


class Counted(NamedTuple):
    """Which contacts are counted, those of a channel and a playbook (0: any), and in which window."""

    channel: int
    playbook: int
    window: CountingWindow


class ContactCounts:
    """Counts a lead's contacts in all windows."""

    def __init__(self, counted: Sequence[Counted]) -> None:
        self._counted = counted
        self._windows = list(dict.fromkeys(each.window for each in counted))  # most of a policy's limits share a few
        self._window_places = [self._windows.index(each.window) for each in counted]
        self._starts = Remembered(self._starts_at)
        self._places = Remembered(self._places_of)

    def counts(self, lead: Situation, moment: Moment) -> tuple[int, ...]:
        """Return one number a window; none at all for a lead that was never contacted."""
        contacts = lead.state.contacts
        if not contacts:
            return ()
        starts = self._starts[moment]
        counts = [0] * len(starts)
        for contact in contacts:
            for place in self._places[contact.channel, contact.playbook]:
                counts[place] += contact.at >= starts[place]
        return tuple(counts)

    def _starts_at(self, moment: Moment) -> list[int]:
        starts = [window_of(window, moment.zone).start(moment.now) for window in self._windows]
        return [starts[place] for place in self._window_places]

    def _places_of(self, contact: tuple[int, int]) -> list[int]:
        channel, playbook = contact
        return [
            place
            for place, each in enumerate(self._counted)
            if each.channel in (0, channel) and each.playbook in (0, playbook)
        ]
