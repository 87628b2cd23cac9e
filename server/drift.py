"""Drift: how far the leads that a tenant's model scores have moved from those that it was trained on.

The road keeps a sample of what it scored; here it is counted in the bins of the training snapshot, away from the road, and added to the
store's counts, so that all replicas' leads are in one figure. A sample that cannot be written is dropped: it is one.
"""

import asyncio

import numpy as np
import structlog
from redis.exceptions import RedisError

from model.drift import SCORE, Counts, Profile, asked_about, counts_in, psi
from model.features import UNKNOWN_CATEGORIES, matrix_of
from model.scorer import Scorer
from server.convert.model import DriftReport
from server.metrics import MODEL_DRIFT
from server.models import ModelShelf
from server.road.assessed import Model
from server.road.sample import ScoredLead
from server.store.connection import Store
from server.store.drift import add_counts, read_counts
from server.turns import take_turns
from server.worker import Worker

INTERVAL_SECONDS = 5.0
# Without any drift the index times the leads is distributed as chi-square with one degree of freedom less than there are bins, so over
# 200 leads and 11 bins it exceeds 0.1 one time in thirty (Yurdakul, Statistical Properties of the Population Stability Index, 2018).
LEAST_LEADS = 200
log = structlog.get_logger()


class Drift:
    """Counts what models scored, and says how far it has moved."""

    def __init__(self, client: Store, shelf: ModelShelf, worker: Worker) -> None:
        self._client = client
        self._shelf = shelf
        self._worker = worker

    async def count_for_ever(self) -> None:
        """Count every tenant's sample, time and again."""
        await take_turns("drift", self._turn, INTERVAL_SECONDS)

    async def _turn(self) -> bool:
        for tenant, model in self._shelf.all_in_use():
            try:
                if await self.count(tenant, model):
                    await self.report(tenant, model.scorer.version, profile_of_model(model))
            except (RedisError, OSError) as error:
                log.warning("drift_sample_dropped", tenant=tenant, error=str(error))
        return False

    async def count(self, tenant: str, model: Model) -> bool:
        """Add what a model scored since the last time to the store's counts; return whether it was anything."""
        leads = await self._worker.run(model.sample.take) if model.sample else []
        if leads:
            counts = await asyncio.to_thread(_counts, profile_of_model(model), leads, _silence_days(model))
            await add_counts(self._client, tenant, model.scorer.version, counts)
        return bool(leads)

    async def report(self, tenant: str, version: str, profile: Profile) -> DriftReport:
        """Return the drift of a model over today's and yesterday's leads, and set it as metrics; nothing by name over too few."""
        counted = await read_counts(self._client, tenant, version, profile)
        leads = int(counted.counts[SCORE].sum())
        found = psi(profile, counted.counts) if leads >= LEAST_LEADS else {}
        for name, value in found.items():
            MODEL_DRIFT.labels(tenant, version, name).set(value)
        return DriftReport(counted.now, counted.since, leads, found)


def profile_of_model(model: Model) -> Profile:
    """Return the histograms of a model's training snapshot; none when it was trained without."""
    profile: Profile = model.scorer.manifest.get("profile", {}) if isinstance(model.scorer, Scorer) else {}
    return profile


def _silence_days(model: Model) -> int | None:
    """Return the longest silence of the leads that a model was trained on; None when they were not chosen by it."""
    silence = model.scorer.manifest.get("silence") if isinstance(model.scorer, Scorer) else None
    return None if silence is None else int(silence["days"])


def _counts(profile: Profile, leads: list[ScoredLead], silence_days: int | None) -> Counts:
    categories = [seen.categories or UNKNOWN_CATEGORIES for seen, _ in leads]
    numeric = matrix_of([seen.numeric for seen, _ in leads])
    scores = np.array([score for _, score in leads])
    chosen = np.flatnonzero(asked_about(numeric, silence_days))
    return counts_in(profile, numeric[chosen], [categories[place] for place in chosen], scores[chosen])
