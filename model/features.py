"""The feature schema: what is known of a lead's behaviour, one definition for training and for serving.

The order is append-only, since arrays in the store follow it. NaN in an array means unknown; a caller cannot say NaN.
"""

import hashlib
import json
import math
from array import array
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
LONGEST_CATEGORY = 64
LARGEST = 1e12


class FeatureError(ValueError):
    """A feature's name or value is not what the schema allows."""


class NumericFeature(NamedTuple):
    """A number: its unit, the range it may have, and which way risk goes when it grows (+1, -1, 0: either)."""

    name: str
    unit: str
    meaning: str
    lowest: float
    highest: float
    monotone: int


class CategoryFeature(NamedTuple):
    """A category of a few values."""

    name: str
    meaning: str


NUMERIC = (
    NumericFeature("days_since_last_activity", "d", "since the last thing the lead did", 0, 36_500, 1),
    NumericFeature("days_since_last_visit", "d", "since the last site visit", 0, 36_500, 1),
    NumericFeature("days_since_last_inquiry", "d", "since the last inquiry", 0, 36_500, 1),
    NumericFeature("tenure_days", "d", "since the first thing the lead did", 0, 36_500, 0),
    NumericFeature("active_days_7", "d", "days with activity in the last 7", 0, 7, -1),
    NumericFeature("active_days_14", "d", "days with activity in the last 14", 0, 14, -1),
    NumericFeature("active_days_30", "d", "days with activity in the last 30", 0, 30, -1),
    NumericFeature("active_days_90", "d", "days with activity in the last 90", 0, 90, -1),
    NumericFeature("page_views_30", "1", "pages seen in the last 30 days", 0, LARGEST, -1),
    NumericFeature("email_opens_30", "1", "e-mails opened in the last 30 days", 0, LARGEST, 0),
    NumericFeature("email_clicks_30", "1", "links clicked in the last 30 days", 0, LARGEST, -1),
    NumericFeature("inquiries_90", "1", "inquiries in the last 90 days", 0, LARGEST, -1),
    NumericFeature("amount_90", "currency", "spent or offered in the last 90 days", -LARGEST, LARGEST, -1),
    NumericFeature("velocity_7", "d", "active days in the last 7 less those in the 7 before", -7, 7, -1),
    NumericFeature("trend_ratio", "1", "(1 + active days in 7) / (1 + active days in 30 x 7/30)", 0, 8, -1),
    NumericFeature("gap_mean", "d", "mean gap between active days", 0, 36_500, 0),
    NumericFeature("gap_last", "d", "last gap between active days", 0, 36_500, 0),
    NumericFeature("silence_ratio", "1", "days since last activity / mean gap", 0, 36_500, 1),
    NumericFeature("active_rate", "1/d", "active days / tenure", 0, 1, -1),
    NumericFeature("open_rate_90", "1", "e-mails opened / active days in the last 90", 0, 1_000, 0),
    NumericFeature("days_since_last_email_click", "d", "since the last link followed in an e-mail", 0, 36_500, 1),
    NumericFeature("days_since_last_purchase", "d", "since the last purchase", 0, 36_500, 1),
    NumericFeature("page_views_7", "1", "pages seen in the last 7 days", 0, LARGEST, -1),
    NumericFeature("page_views_90", "1", "pages seen in the last 90 days", 0, LARGEST, -1),
    NumericFeature("email_opens_7", "1", "e-mails opened in the last 7 days", 0, LARGEST, 0),
    NumericFeature("email_opens_90", "1", "e-mails opened in the last 90 days", 0, LARGEST, 0),
    NumericFeature("email_clicks_7", "1", "links clicked in the last 7 days", 0, LARGEST, -1),
    NumericFeature("email_clicks_90", "1", "links clicked in the last 90 days", 0, LARGEST, -1),
    NumericFeature("inquiries_7", "1", "inquiries in the last 7 days", 0, LARGEST, -1),
    NumericFeature("inquiries_30", "1", "inquiries in the last 30 days", 0, LARGEST, -1),
    NumericFeature("purchases_7", "1", "purchases in the last 7 days", 0, LARGEST, -1),
    NumericFeature("purchases_30", "1", "purchases in the last 30 days", 0, LARGEST, -1),
    NumericFeature("purchases_90", "1", "purchases in the last 90 days", 0, LARGEST, -1),
    NumericFeature("amount_7", "currency", "spent or offered in the last 7 days", -LARGEST, LARGEST, -1),
    NumericFeature("amount_30", "currency", "spent or offered in the last 30 days", -LARGEST, LARGEST, -1),
    NumericFeature("velocity_30", "d", "active days in the last 30 less those in the 30 before", -30, 30, -1),
    NumericFeature("gap_std_90", "d", "standard deviation of the gaps between active days of the last 90", 0, 90, 0),
    NumericFeature("gap_max_90", "d", "longest gap between active days of the last 90", 0, 90, 0),
    NumericFeature(
        "gap_trend_90", "1", "mean of the last 3 gaps / mean gap, of the last 90 days, from 4 gaps", 0, 90, 0
    ),
    NumericFeature("click_to_open_90", "1", "links clicked / e-mails opened in the last 90 days", 0, LARGEST, 0),
    NumericFeature("contacts_30", "1", "contacts granted in the last 30 days", 0, LARGEST, 0),
    NumericFeature("unanswered_contacts_30", "1", "those without an answer (below) so far", 0, LARGEST, 0),
    NumericFeature("response_rate_90", "1", "share of the last 90 days' contacts that were answered", 0, 1, 0),
    NumericFeature(
        "week_concentration_90", "1", "chance that two stirrings fall into the same part of the week", 0, 1, 0
    ),
)
CATEGORIES = (
    CategoryFeature("source", "where the lead came from"),
    CategoryFeature("segment", "the tenant's own segment"),
    CategoryFeature("region", "region inside the country"),
)
_NUMERIC = {feature.name: place for place, feature in enumerate(NUMERIC)}
_RANGES: Final = {feature.name: (place, feature.lowest, feature.highest) for place, feature in enumerate(NUMERIC)}
_LOWEST: Final = np.array([feature.lowest for feature in NUMERIC])
_HIGHEST: Final = np.array([feature.highest for feature in NUMERIC])
_CATEGORIES = {feature.name: place for place, feature in enumerate(CATEGORIES)}
UNKNOWN_NUMBERS: Final = array("d", [float("nan")] * len(NUMERIC)).tobytes()
UNKNOWN_CATEGORIES: Final = ("",) * len(CATEGORIES)
FEATURE_SCHEMA_HASH = hashlib.sha256(json.dumps([NUMERIC, CATEGORIES]).encode()).hexdigest()


def number_place(name: str) -> int:
    """Return a number's place in the schema."""
    return _NUMERIC[name]


def category_place(name: str) -> int:
    """Return a category's place in the schema; raises FeatureError for an unknown name."""
    if name not in _CATEGORIES:
        raise FeatureError(f"unknown feature; categories are {', '.join(_CATEGORIES)}")
    return _CATEGORIES[name]


def numbers_row(given: Mapping[str, float]) -> tuple[bytes, dict[str, str]]:
    """Return numbers in the order of the schema, NaN where none was given, and what is wrong with which.

    Args:
        given: Numbers by their features' names. (Not its items(): a message's map takes those from collections.abc, half as fast.)

    Returns:
        Little-endian float64 as bytes, without the unknown ones at the end; and a description by name for those that their features cannot
        have.

    """
    row, faults, end = array("d", UNKNOWN_NUMBERS), {}, 0
    for name in given:
        number, known = given[name], _RANGES.get(name)
        if known is not None and known[1] <= number <= known[2]:  # False for NaN, too
            row[known[0]] = number + 0.0  # which makes 0.0 of -0.0: one row for equal numbers
            if known[0] >= end:
                end = known[0] + 1
        else:
            faults[name] = _number_fault(name, number)
    return row[:end].tobytes(), faults


def possible(places: Sequence[int], numbers: FloatArray) -> NDArray[np.bool_]:
    """Return which leads have only numbers that their features can have; `numbers` has shape (n, k), of the features at `places`."""
    fits = (numbers >= _LOWEST[places]) & (numbers <= _HIGHEST[places])  # False for NaN, too
    fine: NDArray[np.bool_] = np.all(fits, axis=1)
    return fine


def rows_at(places: Sequence[int], numbers: FloatArray) -> list[bytes]:
    """Return one row a lead, as `numbers_row` does; `numbers` has shape (n, k), of the features at `places`, all of them known."""
    width = max(places) + 1
    matrix = np.full((len(numbers), width), np.nan, "<f8")
    matrix[:, places] = numbers + 0.0  # as there
    data, size = matrix.tobytes(), width * matrix.itemsize
    return [data[start : start + size] for start in range(0, len(data), size)]


def rows_of(matrix: FloatArray) -> list[bytes]:
    """Return one row a lead, as `numbers_row` does; empty where nothing is known. `matrix` has shape (n, all features), little-endian."""
    known = ~np.isnan(matrix[:, ::-1])
    unknown_at_end = np.where(known.any(axis=1), known.argmax(axis=1), len(NUMERIC))
    data, whole = matrix.tobytes(), len(UNKNOWN_NUMBERS)
    ends = np.arange(1, len(matrix) + 1) * whole - unknown_at_end * 8
    return [data[place * whole : end] for place, end in enumerate(ends.tolist())]


def matrix_of(rows: list[bytes]) -> FloatArray:
    """Return the numbers of rows as `rows_of` makes them, or longer ones; shape (n, all features), NaN where nothing is known."""
    longest = max(map(len, rows), default=0)
    even = [row if len(row) == longest else row + UNKNOWN_NUMBERS[len(row) : longest] for row in rows]
    data = UNKNOWN_NUMBERS[longest:].join([*even, b""])  # no row of the longest ones, which are most, is made anew
    return np.frombuffer(data, "<f8").reshape(len(rows), len(NUMERIC))


def _number_fault(name: str, number: float) -> str:
    if name not in _NUMERIC:
        return f"unknown feature; numbers are {', '.join(_NUMERIC)}"
    if not math.isfinite(number):
        return "must be finite; leave an unknown feature out"
    feature = NUMERIC[_NUMERIC[name]]
    return f"must be in [{feature.lowest:g}, {feature.highest:g}] {feature.unit}"


@lru_cache(maxsize=4_096)
def check_category(name: str, value: str) -> int:
    """Return a category's place in the schema; raises FeatureError unless the value is one that the feature can have."""
    place = category_place(name)
    if not 1 <= len(value) <= LONGEST_CATEGORY or not value.isprintable():
        raise FeatureError(f"must be 1 to {LONGEST_CATEGORY} printable characters")
    return place
