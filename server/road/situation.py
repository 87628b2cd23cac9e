"""The situation that a decision is made from: the same function serves live decisions and their replay."""

from collections.abc import Mapping
from hashlib import blake2b
from struct import Struct as Layout
from typing import Final

from msgspec.structs import replace

from rules.decision import CeilingReading, Situation
from rules.lead import LeadProfile
from server.road.assessed import Assessed
from server.road.job import DecideInput, LeadRecord

HOLDOUT_HASH: Final = blake2b(digest_size=8, person=b"holdout")
NUMBER: Final = Layout(">Q")
PERCENT: Final = 100 / 2**64  # exactly: so that the product is `number / 2**64 * 100` to the last bit


def holdout_bucket(tenant: str, lead_id: str) -> float:
    """Return a lead's fixed place in [0, 100): growing a holdout keeps everybody who was in it."""
    hashed = HOLDOUT_HASH.copy()  # 0.6 of what it costs to make one
    hashed.update(f"{tenant}/{lead_id}".encode())
    (number,) = NUMBER.unpack(hashed.digest())
    place: float = number * PERCENT
    return place


def overlaid(profile: LeadProfile, given: DecideInput) -> LeadProfile:
    """Return the profile after a request's own fields were laid over it."""
    if not given.profile:
        return profile
    fields = dict(given.profile)
    for name in ("attributes", "contacts"):
        if name in fields:
            fields[name] = {**getattr(profile, name), **fields[name]}
    return replace(profile, **fields)


def situation(
    tenant: str,
    request: DecideInput,
    record: LeadRecord,
    assessed: Assessed,
    now: int,
    ceilings: Mapping[str, CeilingReading],
) -> Situation:
    """Return everything that the rules may look at."""
    return Situation(
        request.decision_id,
        request.lead_id,
        now,
        request.cause,
        overlaid(record.profile, request),
        record.state,
        assessed.assessment,
        holdout_bucket(tenant, request.lead_id),
        ceilings,
    )
