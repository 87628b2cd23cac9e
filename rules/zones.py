"""Local time: what a wall clock shows in a zone at an instant, from the IANA database, daylight saving included.

Local times are integers, too: the milliseconds that the wall clock has counted since 1970-01-01 00:00 on that clock.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo, available_timezones

MINUTE_MS = 60_000
DAY_MS = 86_400_000
QUARTER_MS = 900_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UTC_OFFSETS_HOURS = range(-12, 15)  # from Baker Island to the Line Islands


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Return every zone name that is known here."""
    return frozenset(available_timezones())


def known_zone(name: str) -> str:
    """Return a zone's name; "" when there is no such zone."""
    return name if name in zone_names() else ""


@lru_cache(maxsize=262_144)
def _offset_in_quarter(zone: str, quarter: int) -> int:
    at = EPOCH + timedelta(milliseconds=quarter * QUARTER_MS)
    offset = at.astimezone(ZoneInfo(zone)).utcoffset()
    return (offset or timedelta(0)) // timedelta(milliseconds=1)


def offset_ms(zone: str, at: int) -> int:
    """Return how far a zone's clock is ahead of UTC at an instant, in milliseconds.

    `UTC+5`-like fixed zones are written `Etc/GMT-5`. Zones change their offset on quarter hours only (since 1972), which is
    what the cache rests upon.
    """
    return _offset_in_quarter(zone, at // QUARTER_MS)


def next_transition(zone: str, after: int, until: int) -> int | None:
    """Return the first instant in (after, until] with another offset than `after`; None if there is none.

    The stretch is at most a few days long: two transitions inside it that cancel out would not be seen.
    """
    first = offset_ms(zone, after)
    if offset_ms(zone, until) == first:
        return None
    low, high = after // QUARTER_MS, until // QUARTER_MS
    while high - low > 1:
        middle = (low + high) // 2
        if _offset_in_quarter(zone, middle) == first:
            low = middle
        else:
            high = middle
    return high * QUARTER_MS


@lru_cache(maxsize=262_144)
def period_bounds(zone: str, kind: str, local_day: int) -> tuple[int, int]:
    """Return the instants at which the calendar period with this local day begins, and the next one begins.

    Args:
        zone: IANA name.
        kind: `day`, `week` (from Monday) or `month`.
        local_day: Days since 1970-01-01 on the zone's own clock.

    """
    day = EPOCH.date() + timedelta(days=local_day)
    if kind == "day":
        first, following = day, day + timedelta(days=1)
    elif kind == "week":
        first = day - timedelta(days=day.weekday())
        following = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        following = (first + timedelta(days=32)).replace(day=1)
    return _midnight(zone, first.toordinal()), _midnight(zone, following.toordinal())


def _midnight(zone: str, ordinal: int) -> int:
    # fold=0 takes the offset before a change: a midnight that is skipped becomes the instant of the change itself.
    local = datetime.fromordinal(ordinal).replace(tzinfo=ZoneInfo(zone))
    return (local - EPOCH) // timedelta(milliseconds=1)


def period(zone: str, kind: str, at: int) -> tuple[int, int]:
    """Return [start, next start) of the calendar period that an instant lies in."""
    return period_bounds(zone, kind, (at + offset_ms(zone, at)) // DAY_MS)


@lru_cache(maxsize=1)
def zones_by_country() -> dict[str, tuple[str, ...]]:
    """Return the zones in use in each ISO 3166-1 country."""
    table: dict[str, list[str]] = {}
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text().splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            table.setdefault(country, []).append(zone)
    return {country: tuple(zones) for country, zones in table.items()}


@lru_cache(maxsize=512)
def plausible_zones(country: str) -> tuple[str, ...]:
    """Return the zones that a lead of a country may live in; every whole-hour offset when the country is unknown."""
    known = zones_by_country().get(country)
    return known or tuple(f"Etc/GMT{-hours:+d}" for hours in UTC_OFFSETS_HOURS)
