"""Limits over all of a tenant's leads, as one batch uses them up."""

from collections.abc import Mapping

from msgspec.structs import replace

from rules.decide import ESCALATION_SHARE
from rules.decision import CeilingReading, Ruling


class Tally:
    """Tenant-wide counts as the batch uses them up: what was read, and what the leads before this one claimed."""

    def __init__(self, readings: dict[str, CeilingReading], leads_today: int, escalated_today: int) -> None:
        self.readings = readings
        self.leads_today = leads_today
        self.escalated_today = escalated_today
        self._last: dict[str, CeilingReading] | None = None  # nothing was claimed since

    def ceilings(self, share: float, first_today: bool) -> Mapping[str, CeilingReading]:
        """Return the readings for the next lead; the share of escalations counts that lead in."""
        decided = self.leads_today + first_today
        # The same rounding as in commit.lua: below 1 / share leads a day, one escalation.
        allowed = max(1, int(share * decided + 1e-9))
        if self._last is None or self._last[ESCALATION_SHARE].maximum != allowed:
            self._last = {**self.readings, ESCALATION_SHARE: CeilingReading(self.escalated_today, allowed, None)}
        return self._last

    def take(self, ruling: Ruling) -> None:
        """Count what a ruling claims."""
        if ruling.claims:
            self._last = None
        for claim in ruling.claims:
            if claim.name == ESCALATION_SHARE:
                self.escalated_today += claim.amount
            else:
                reading = self.readings[claim.name]
                self.readings[claim.name] = replace(reading, used=reading.used + claim.amount)
