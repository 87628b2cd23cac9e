"""The fallback score: what is answered when the trained model cannot be used.

A logistic of recency and engagement, fitted once on the simulator's leads (seed 7, 6,000 leads):
    P = 1 / (1 + exp(-(b0 + b1 * ln(1 + days since last activity) + b2 * ln(1 + active days in 30))))
It is a rule of thumb: its answers carry the source FALLBACK and the reason.
"""

from collections.abc import Sequence

import numpy as np

from model.explanation import MEANINGS, Explanation, Factor, number_shown
from model.features import FloatArray, number_place
from model.survival.estimate import NoEstimateReason, PackedEstimate

BASE, PER_RECENCY, PER_ENGAGEMENT = (-3.06, 1.06, -0.45)
UNKNOWN_RECENCY_DAYS, UNKNOWN_ACTIVE_DAYS = 30.0, 0.0
RECENCY, ENGAGEMENT = number_place("days_since_last_activity"), number_place("active_days_30")


class FallbackScorer:
    """Scores like the trained model, from two features."""

    version = "fallback-1"

    @staticmethod
    def _terms(numeric: FloatArray) -> tuple[FloatArray, FloatArray]:
        recency = np.nan_to_num(numeric[..., RECENCY], nan=UNKNOWN_RECENCY_DAYS)
        engagement = np.nan_to_num(numeric[..., ENGAGEMENT], nan=UNKNOWN_ACTIVE_DAYS)
        return PER_RECENCY * np.log1p(recency), PER_ENGAGEMENT * np.log1p(engagement)

    def score(self, numeric: FloatArray, categories: Sequence[tuple[str, ...]]) -> FloatArray:
        """Return the churn probabilities, shape (n,), of features of shape (n, k)."""
        recency, engagement = self._terms(numeric)
        return np.asarray(1 / (1 + np.exp(-(BASE + recency + engagement))))

    def assess(
        self, numeric: FloatArray, categories: Sequence[tuple[str, ...]]
    ) -> tuple[FloatArray, list[PackedEstimate]]:
        """Return the churn probabilities, shape (n,), and that there is no estimate of when."""
        return self.score(numeric, categories), [NoEstimateReason.MODEL_UNAVAILABLE] * len(numeric)

    def explain(self, numeric: FloatArray, categories: tuple[str, ...]) -> Explanation:
        """Return what the two features of one lead, shape (k,), added."""
        recency, engagement = self._terms(numeric)
        factors = (
            Factor("days_since_last_activity", number_shown(numeric[RECENCY]), float(recency), MEANINGS[RECENCY]),
            Factor("active_days_30", number_shown(numeric[ENGAGEMENT]), float(engagement), MEANINGS[ENGAGEMENT]),
        )
        return Explanation(BASE, factors)
