"""Time to churn as it is served: a lead's median, its 10-90 % band and three probabilities, or why there is no estimate.

A second model beside the churn probability. That one is about silence within 30 days; this one about when a silence of `silence_days` begins.
"""

from collections.abc import Mapping
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import FloatArray, number_place
from model.survival.curves import EARLY, EDGES, LATE, MEDIAN, PERIOD_DAYS, PERIODS, days_until
from model.survival.hazard import HazardTrees

HAZARD_FILES = ("hazard.cbm", "hazard.json")  # CatBoost's own, and the same trees as numbers
BY_30_DAYS, BY_90_DAYS = EDGES.tolist().index(30), EDGES.tolist().index(90)
WEEK = 7 / PERIOD_DAYS  # of the first period
RECENCY = number_place("days_since_last_activity")


class NoEstimateReason(IntEnum):
    """Why a lead has no median; the numbers are the contract's."""

    PROBABILITY_GIVEN = 1
    MODEL_UNAVAILABLE = 2
    NOT_BETTER = 3
    ACTIVITY_UNKNOWN = 4
    SILENT_ALREADY = 5
    BEYOND_HORIZON = 6
    NOT_TRAINED = 7


class TimeToChurn(NamedTuple):
    """When a lead will leave, in days from now; None: beyond the horizon of 240 days. 0: it may have begun its silence already.

    Days in tenths, probabilities in ten-thousandths: nobody knows it better, and a record keeps them in 12 bytes without a loss.
    """

    median_days: float | None
    early_days: float | None  # one in ten such leads has left by then
    late_days: float | None  # nine in ten
    within_7_days: float  # probability
    within_30_days: float
    within_90_days: float


Estimate = tuple[TimeToChurn | None, NoEstimateReason | None]  # both only beyond the horizon
PackedEstimate = bytes | int  # a number: the reason why there is none (0: from before there were any)
PACKED = Struct("<6H")  # TimeToChurn, field by field: days in tenths, probabilities in ten-thousandths
PACKED_NUMBER = "<u2"
BEYOND = 0xFFFF
REASONS: Mapping[int, NoEstimateReason] = {reason: reason for reason in NoEstimateReason}


def unpacked(kept: PackedEstimate) -> Estimate:
    """Return an estimate from what is kept of it."""
    if isinstance(kept, int):
        return None, REASONS.get(kept)
    numbers = PACKED.unpack(kept)
    median, early, late = (None if tenths == BEYOND else tenths / 10 for tenths in numbers[:3])
    time = TimeToChurn(median, early, late, *[number / 10_000 for number in numbers[3:]])
    return time, NoEstimateReason.BEYOND_HORIZON if median is None else None


class ChurnTimes:
    """A hazard model that serves. Safe to share between threads."""

    def __init__(self, trees: HazardTrees, silence_days: int) -> None:
        self.trees = trees
        self._silence_days = silence_days

    def estimates(self, answers: NDArray[np.uint8], silent_days: FloatArray) -> list[PackedEstimate]:
        """Return what is known of each lead, or why nothing is, from the trees' answers, (t, n), and the days since its last activity."""
        # Periods first, so that all leads are one row of numbers in each step; what is rounded here is rounded as np.round does it.
        whole = np.rint((1 - self.trees.stays_of(answers)) * 10_000)
        left = whole / 10_000
        kept = np.empty((6, len(silent_days)), PACKED_NUMBER)
        kept[:3] = np.minimum(days_until(left, (MEDIAN, EARLY, LATE)) * 10 + 0.5, BEYOND)
        kept[3] = (left[0] + (left[1] - left[0]) * WEEK) * 10_000 + 0.5
        kept[4], kept[5] = whole[BY_30_DAYS], whole[BY_90_DAYS]
        estimates: list[PackedEstimate] = np.ascontiguousarray(kept.T).view((np.void, PACKED.size)).ravel().tolist()
        # Unknown days are no number, which is never less.
        (without,) = (~(silent_days <= self._silence_days)).nonzero()
        for place, days in zip(without.tolist(), silent_days[without].tolist(), strict=True):
            estimates[place] = NoEstimateReason.SILENT_ALREADY if days > 0 else NoEstimateReason.ACTIVITY_UNKNOWN
        return estimates


def worst_difference(trees: HazardTrees, smoke: Mapping[str, Any]) -> float:
    """Return how far the trees are from the log-odds that CatBoost gave for the smoke vectors; infinite when the shapes differ."""
    expected = np.array(smoke["raw"])
    inputs = smoke_inputs(smoke)
    if expected.shape != (len(inputs), PERIODS):
        return float("inf")
    return float(np.abs(trees.raw(inputs) - expected).max())


def smoke_inputs(smoke: Mapping[str, Any]) -> FloatArray:
    """Return the inputs of smoke vectors, (n, k); what is unknown is null in the manifest and NaN here."""
    return np.array([[np.nan if x is None else x for x in row] for row in smoke["inputs"]], dtype=np.float64)
