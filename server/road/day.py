"""The tenant's calendar day, which the share of escalations is counted in."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from rules.zones import period


class Day(NamedTuple):
    """A calendar day in the tenant's zone: its name, its bounds, and the next day's name."""

    name: str
    start_at: int
    next_start_at: int
    next_name: str


@lru_cache(maxsize=1024)
def _day(start_at: int, next_start_at: int, zone: str) -> Day:
    following = period(zone, "day", next_start_at)[1]
    return Day(_name(start_at, next_start_at), start_at, next_start_at, _name(next_start_at, following))


def _name(start_at: int, next_start_at: int) -> str:
    # The UTC date of local noon names each day once, in every zone.
    noon = datetime.fromtimestamp((start_at + next_start_at) / 2_000, UTC)
    return f"{noon:%Y%m%d}"


def day_of(now: int, zone: str) -> Day:
    """Return the tenant's day that an instant lies in."""
    return _day(*period(zone, "day", now), zone)
