"""Explanations: what moved a lead's log-odds away from the average lead's, feature by feature, in words."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from model.features import CATEGORIES, NUMERIC, NumericFeature

OTHERS, OTHERS_MEANING = "other", "all other features together"
TOP_FACTORS = 8


class Factor(NamedTuple):
    """What one feature added to the log-odds, and what the feature means."""

    feature: str
    value: str
    contribution: float
    meaning: str


class Explanation(NamedTuple):
    """Why a score is what it is: `base` and the contributions of all factors add up to its log-odds."""

    base: float
    factors: tuple[Factor, ...]


def _meaning(feature: NumericFeature) -> str:
    """Return a feature's meaning with its unit, where the words do not have it already."""
    if feature.unit != "d" or feature.meaning.startswith(("days ", "active days ")):
        return feature.meaning
    return f"days {feature.meaning}" if feature.meaning.startswith("since ") else f"{feature.meaning} (days)"


NAMES = (*(feature.name for feature in NUMERIC), *(feature.name for feature in CATEGORIES))
MEANINGS = (*(_meaning(feature) for feature in NUMERIC), *(feature.meaning for feature in CATEGORIES))


def number_shown(value: float) -> str:
    """Return a feature's value for people; "unknown" for NaN."""
    return "unknown" if math.isnan(value) else f"{value:g}"


def explained(base: float, contributions: Sequence[float], values: Sequence[str]) -> Explanation:
    """Return the largest contributions first, one for each feature of the schema, and the sum of the small ones as the last."""
    order = sorted(range(len(NAMES)), key=lambda place: -abs(contributions[place]))
    factors = [Factor(NAMES[p], values[p], contributions[p], MEANINGS[p]) for p in order[:TOP_FACTORS]]
    rest = math.fsum(contributions[place] for place in order[TOP_FACTORS:])
    return Explanation(base, (*factors, Factor(OTHERS, "", rest, OTHERS_MEANING)))
