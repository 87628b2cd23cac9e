"""Checks of quiet and legal hours: a channel that is never open, a gap that nobody meant, hours wider than the law's."""

from collections.abc import Iterator

from rules.document import PolicyDocument
from rules.hours import DAY_MINUTES, DAYS, BlockedHours, blocked_hours, is_inside
from rules.legal_floor import LEGAL_FLOORS
from rules.yaml_text import Path
from rules.zones import DAY_MS, MINUTE_MS, zones_by_country

Finding = tuple[str, str, Path, str]
MONDAY_MS = 4 * DAY_MS  # 1970-01-05
WEEK_MINUTES = 7 * DAY_MINUTES


def check_hours(document: PolicyDocument) -> Iterator[Finding]:
    """Find hours that cannot be meant."""
    yield from _legal(document)
    for channel in dict.fromkeys(name for quiet in document.quiet_hours for name in quiet.channels):
        places = [place for place, quiet in enumerate(document.quiet_hours) if channel in quiet.channels]
        hours = [blocked_hours(document.quiet_hours[place].local, document.quiet_hours[place].days) for place in places]
        blocked = _week(hours)
        if all(blocked):
            yield "error", "channel_never_allowed", ("quiet_hours", places[0]), f"{channel} is quiet all week"
        else:
            yield from _gaps(channel, ("quiet_hours", places[0]), hours, blocked)


def _legal(document: PolicyDocument) -> Iterator[Finding]:
    for place, legal in enumerate(document.legal_hours):
        for country in legal.countries:
            if country not in zones_by_country():
                yield "error", "unknown_country", ("legal_hours", place, "countries"), f"{country} is not a country"
            for floor in LEGAL_FLOORS:
                shared = sorted(set(floor.channels) & set(legal.channels))
                if country == floor.country and shared and not is_inside(legal.local, floor.local):
                    message = f"the law allows {', '.join(shared)} in {country} from {floor.local}; hours may only be narrower"
                    yield "error", "legal_hours_widened", ("legal_hours", place, "local"), message


def _week(hours: list[BlockedHours]) -> list[bool]:
    """Return whether each minute of a week from Monday is blocked."""
    instants = (MONDAY_MS + minute * MINUTE_MS for minute in range(WEEK_MINUTES))
    return [any(window.covers(instant) for window in hours) for instant in instants]


def _gaps(channel: str, path: Path, hours: list[BlockedHours], blocked: list[bool]) -> Iterator[Finding]:
    """Find mornings that stay open because the window that would cover them belongs to another day.

    That is a morning without the quiet that other days' windows carry over midnight, right after a day that ends quiet.
    """
    crossing = [window for window in hours if window.end <= window.start and window.end < DAY_MINUTES]
    for window in crossing:
        for day in range(7):
            midnight = day * DAY_MINUTES
            minute = midnight
            while minute < midnight + window.end and not blocked[minute]:
                minute += 1
            if minute > midnight and blocked[midnight - 1]:
                until = min(minute, midnight + window.end) - midnight
                stretch = f"{DAYS[day].capitalize()} 00:00-{until // 60:02}:{until % 60:02}"
                yield (
                    "warning",
                    "calendar_gap",
                    path,
                    f"{channel} is open {stretch}, between quiet hours; is that meant?",
                )
