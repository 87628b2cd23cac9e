"""Score: what a batch of leads looks like to the model. One call of the scorer for the whole batch."""

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.activity import features_of
from model.fallback import FallbackScorer
from model.features import CATEGORIES, NUMERIC
from model.scorer import Factor, Scorer
from rules.decision import Assessment
from rules.vocabulary import AssessmentSource
from server.road.job import DecideInput, LeadRecord

UNKNOWN_NUMBERS = array("d", [float("nan")] * len(NUMERIC)).tobytes()
UNKNOWN_CATEGORIES = ("",) * len(CATEGORIES)


class Model(NamedTuple):
    """What scores at the moment: the trained model, or the fallback and why."""

    scorer: Scorer | FallbackScorer
    fault: str = ""

    @property
    def source(self) -> AssessmentSource:
        """What its probabilities count as."""
        return AssessmentSource.FALLBACK if self.fault else AssessmentSource.MODEL


class Behaviour(NamedTuple):
    """A lead's features, as they stand after a request's own were merged in."""

    numeric: bytes
    categories: tuple[str, ...]
    as_of: int | None


class Row(NamedTuple):
    """One lead to assess: its features, which of them callers gave, and what this caller asked for."""

    behaviour: Behaviour
    given: Behaviour
    request: DecideInput


class Assessed(NamedTuple):
    """An assessment, with the factors behind it when they were asked for."""

    assessment: Assessment
    factors: tuple[Factor, ...] = ()


def row_of(record: LeadRecord, request: DecideInput, now: int) -> Row:
    """Return what to score for a lead: what callers gave, over what its events say by now."""
    given = merge(given_of(record), request, now)
    return Row(known(record, given, now), given, request)


def given_of(record: LeadRecord) -> Behaviour:
    """Return what callers gave; no numbers once an event has arrived after them."""
    as_of = record.features_as_of
    if as_of is not None and as_of < record.activity_at:
        return Behaviour(b"", record.categories, None)
    return Behaviour(record.numeric, record.categories, as_of)


def known(record: LeadRecord, given: Behaviour, now: int) -> Behaviour:
    """Return a lead's features at an instant; numbers that a caller gave count until an event arrives after them."""
    if not record.activity_at:
        return given
    numbers = features_of(record.activity, now)
    if given.numeric and given.as_of is not None and given.as_of >= record.activity_at:
        told = np.frombuffer(given.numeric, dtype="<f8")
        numbers = np.where(np.isnan(told), numbers, told)
    return Behaviour(numbers.astype("<f8").tobytes(), given.categories, now)


def merge(before: Behaviour, request: DecideInput, now: int) -> Behaviour:
    """Return the features after a request's own were laid over the stored ones."""
    if not request.numbers and not request.categories:
        return before
    numbers = array("d", before.numeric or UNKNOWN_NUMBERS)
    for place, number in request.numbers:
        numbers[place] = number
    categories = list(before.categories or UNKNOWN_CATEGORIES)
    for place, category in request.categories:
        categories[place] = category
    return Behaviour(numbers.tobytes(), tuple(categories), request.features_as_of or now)


def assess(model: Model, rows: Sequence[Row], now: int) -> list[Assessed]:
    """Return one assessment a row; the scorer is called once, for the rows whose probability the caller did not give."""
    unscored = [row for row in rows if row.request.churn_probability is None]
    scores = iter(_score(model, unscored))
    return [
        _caller(row, now) if row.request.churn_probability is not None else _scored(model, row, next(scores), now)
        for row in rows
    ]


def _score(model: Model, rows: Sequence[Row]) -> list[float]:
    if not rows:
        return []
    data = b"".join(row.behaviour.numeric or UNKNOWN_NUMBERS for row in rows)
    numeric = np.frombuffer(data, dtype="<f8").reshape(len(rows), len(NUMERIC))
    categories = [row.behaviour.categories or UNKNOWN_CATEGORIES for row in rows]
    scores: list[float] = model.scorer.score(numeric, categories).tolist()
    return scores


def _caller(row: Row, now: int) -> Assessed:
    probability = row.request.churn_probability
    if probability is None:
        raise ValueError("the caller gave no probability")
    return Assessed(Assessment(probability, AssessmentSource.CALLER, "", now, "", row.behaviour.as_of))


def _scored(model: Model, row: Row, score: float, now: int) -> Assessed:
    behaviour = row.behaviour
    assessment = Assessment(score, model.source, model.scorer.version, now, model.fault, behaviour.as_of)
    if not row.request.explain:
        return Assessed(assessment)
    numeric = np.frombuffer(behaviour.numeric or UNKNOWN_NUMBERS, dtype="<f8")
    return Assessed(assessment, tuple(model.scorer.explain(numeric, behaviour.categories or UNKNOWN_CATEGORIES)))
