"""Hours that the law sets whatever a policy says; a policy may narrow them, never widen them.

Source: 47 CFR 64.1200(c)(1): no telephone solicitation before 8 a.m. or after 9 p.m. local time at the called party's location;
texts are treated the same way. Verify with counsel before relying on this table; it is a floor, not advice.
"""

from typing import NamedTuple


class LegalFloor(NamedTuple):
    """The hours in which channels are lawful in a country."""

    country: str
    channels: tuple[str, ...]
    local: str


LEGAL_FLOORS = (LegalFloor("US", ("sms", "phone"), "08:00-21:00"),)
