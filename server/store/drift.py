"""Counts of the leads that a model scored, by bin, in the store: those of all replicas, by UTC day."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np

from model.drift import Counts, Profile
from server.store.connection import Store
from server.store.keys import drift_key

KEPT_SECONDS = 3 * 86_400
SINCE = "since"


class Counted(NamedTuple):
    """What was counted: the bins' counts by name, from when on in ms, and the store's now."""

    counts: Counts
    since: int
    now: int


async def add_counts(client: Store, tenant: str, version: str, counts: Counts) -> None:
    """Add some leads to today's."""
    now = await _now(client)
    key = drift_key(tenant, version, _day(now))
    pipeline = client.pipeline(transaction=False)
    pipeline.hsetnx(key, SINCE, now)
    for name, bins in counts.items():
        for place in np.flatnonzero(bins):
            pipeline.hincrby(key, f"{name}:{place}", int(bins[place]))
    pipeline.expire(key, KEPT_SECONDS)
    await pipeline.execute()


async def read_counts(client: Store, tenant: str, version: str, profile: Profile) -> Counted:
    """Return what was counted today and yesterday."""
    now = await _now(client)
    counts: Counts = {name: np.zeros(len(bins["shares"]), dtype=np.int64) for name, bins in profile.items()}
    since = now
    for day in (_day(now), _day(now, before=1)):
        found = await client.hgetall(drift_key(tenant, version, day))
        since = min(since, int(found.pop(SINCE.encode(), now)))
        for field, leads in found.items():
            name, _, place = field.decode().rpartition(":")
            counts[name][int(place)] += int(leads)
    return Counted(counts, since, now)


async def _now(client: Store) -> int:
    seconds, microseconds = await client.time()
    return int(seconds) * 1_000 + int(microseconds) // 1_000


def _day(now: int, before: int = 0) -> str:
    return f"{datetime.fromtimestamp(now / 1_000, UTC) - timedelta(days=before):%Y%m%d}"
