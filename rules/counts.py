"""How many of a lead's contacts each limit counts now: all limits at once, as leads that were contacted before are what costs.

Where a window starts is the same for all leads of a zone at an instant, so for most of a batch; which windows a contact lies in never changes.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from rules.facts import View
from rules.windows import CountingWindow, window_of
from rules.zones import known_zone

Key = TypeVar("Key")
Value = TypeVar("Value")
KEPT = 4_096


class Counted(NamedTuple):
    """Which contacts are counted, those of a channel and a playbook (0: any), and in which window."""

    channel: int
    playbook: int
    window: CountingWindow


class Remembered(dict[Key, Value]):
    """What a function returned, by its argument; begins anew when it is full."""

    def __init__(self, function: Callable[[Key], Value]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, key: Key) -> Value:
        """Ask the function."""
        if len(self) >= KEPT:
            self.clear()
        value = self[key] = self._function(key)
        return value


class ContactCounts:
    """Counts a lead's contacts in all windows."""

    def __init__(self, counted: Sequence[Counted]) -> None:
        self._counted = counted
        self._starts = Remembered(self._starts_at)
        self._places = Remembered(self._places_of)

    def __call__(self, view: View) -> tuple[int, ...]:
        """Return one number a window; none at all for a lead that was never contacted."""
        situation = view.situation
        contacts = situation.state.contacts
        if not contacts:
            return ()
        starts = self._starts[view.now, known_zone(situation.profile.time_zone)]
        counts = [0] * len(starts)
        for contact in contacts:
            for place in self._places[contact.channel, contact.playbook]:
                counts[place] += contact.at >= starts[place]
        return tuple(counts)

    def _starts_at(self, now_and_zone: tuple[int, str]) -> list[int]:
        now, zone = now_and_zone
        return [window_of(each.window, zone).start(now) for each in self._counted]

    def _places_of(self, contact: tuple[int, int]) -> list[int]:
        channel, playbook = contact
        return [
            place
            for place, each in enumerate(self._counted)
            if each.channel in (0, channel) and each.playbook in (0, playbook)
        ]
