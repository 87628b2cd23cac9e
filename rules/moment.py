"""A moment: an instant as all leads of one zone and one country see it.

A batch is decided at one instant and its leads live in a few zones, so what follows from these alone (when windows began, when blocked hours
end) is worked out once for all of them.
"""

from rules.compiled import CompiledPolicy, HoursRule, LimitRule
from rules.hours import is_blocked, next_change
from rules.windows import Stretch, window_of
from rules.zones import MINUTE_MS, known_zone, plausible_zones


class Moment:
    """An instant, for leads of a zone (`zone`; empty: unknown) and a country; `zones` are those that their hours are told in."""

    __slots__ = ("_openings", "_stretches", "country", "minute", "now", "zone", "zones")

    def __init__(self, now: int, zone: str, country: str, zones: tuple[str, ...]) -> None:
        self.now = now
        self.zone = zone
        self.country = country
        self.zones = zones
        self.minute = zones, country, now // MINUTE_MS  # all that blocked hours and local times follow from
        self._stretches: dict[str, Stretch] = {}
        self._openings: dict[tuple[str, int], int | None] = {}

    def applies(self, hours: HoursRule) -> bool:
        """Return whether blocked hours are for these leads."""
        return not hours.countries or self.country in hours.countries or (not self.country and hours.unknown_country)

    def stretch(self, limit: LimitRule) -> Stretch:
        """Return where a limit's window lies now."""
        found = self._stretches.get(limit.fact)
        if found is None:
            found = self._stretches[limit.fact] = window_of(limit.window, self.zone).stretch(self.now)
        return found

    def opening(self, hours: HoursRule, at: int) -> int | None:
        """Return the first instant from `at` on that hours leave free; None if there is none within eight days."""
        key = hours.fact, at
        if key not in self._openings:
            self._openings[key] = self._opening(hours, at)
        return self._openings[key]

    def _opening(self, hours: HoursRule, at: int) -> int | None:
        if not self.applies(hours) or not is_blocked(hours.hours, self.zones, at):
            return at
        return next_change(hours.hours, self.zones, at)


def moment_of(policy: CompiledPolicy, time_zone: str, country: str, now: int) -> Moment:
    """Return an instant as leads see it whose profiles say this zone and this country."""
    zone = known_zone(time_zone)
    return Moment(now, zone, country, (zone,) if zone else _zones_of_unknown(policy, country))


def _zones_of_unknown(policy: CompiledPolicy, country: str) -> tuple[str, ...]:
    """Return the zones that hours are told in when nobody knows the lead's; none where the policy denies the unknown."""
    if policy.document.unknown_time_zone == "tenant":
        return (policy.tenant_zone,)
    if policy.document.unknown_time_zone == "strictest":
        return plausible_zones(country)
    return ()
