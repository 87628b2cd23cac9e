"""The situation that a decision is made from: the same function serves live decisions and their replay."""

from collections.abc import Mapping
from hashlib import blake2b

from msgspec.structs import replace

from rules.decision import CeilingReading, Situation
from rules.lead import LeadProfile
from server.road.assessed import Assessed
from server.road.job import DecideInput, LeadRecord


def holdout_bucket(tenant: str, lead_id: str) -> float:
    """Return a lead's fixed place in [0, 100): growing a holdout keeps everybody who was in it."""
    digest = blake2b(f"{tenant}/{lead_id}".encode(), digest_size=8, person=b"holdout").digest()
    return int.from_bytes(digest) / 2**64 * 100


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
