"""Score: what a batch of leads looks like to the model. One call of the scorer for the whole batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.activity import features_of
from model.fallback import FallbackScorer
from model.features import NUMERIC, UNKNOWN_CATEGORIES, UNKNOWN_NUMBERS, FloatArray
from model.scorer import Factor, Scorer
from rules.decision import Assessment
from rules.vocabulary import AssessmentSource
from server.road.job import DecideInput, LeadRecord


class Model(NamedTuple):
    """What scores at the moment: the trained model, or the fallback and why."""

    scorer: Scorer | FallbackScorer
    fault: str = ""

    @property
    def source(self) -> AssessmentSource:
        """What its probabilities count as."""
        return AssessmentSource.FALLBACK if self.fault else AssessmentSource.MODEL


class Subject(NamedTuple):
    """A lead to assess, and what its request adds to what is known of it."""

    record: LeadRecord
    request: DecideInput


class Behaviour(NamedTuple):
    """A lead's features and since when they hold; empty where nothing is known."""

    numeric: bytes
    categories: tuple[str, ...]
    as_of: int | None


class Assessed(NamedTuple):
    """An assessment, what callers have told of the lead's features by now, and the factors when they were asked for."""

    assessment: Assessment
    given: Behaviour
    factors: tuple[Factor, ...] = ()


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
    numbers = features_of(record.activity, now).astype("<f8").tobytes()
    if given.numeric and given.as_of is not None and given.as_of >= record.activity_at:
        (numbers,) = _overlaid([numbers], [given.numeric])
    return Behaviour(numbers, given.categories, now)


def assess(model: Model, subjects: Sequence[Subject], now: int) -> list[Assessed]:
    """Return one assessment a lead; the scorer is called once, for those whose probability the caller did not give."""
    given = _given(subjects, now)
    behaviours = [known(subject.record, told, now) for subject, told in zip(subjects, given, strict=True)]
    unscored = [
        behaviour
        for subject, behaviour in zip(subjects, behaviours, strict=True)
        if subject.request.churn_probability is None
    ]
    scores = iter(_scores(model, unscored))
    assessed = []
    for subject, behaviour, told in zip(subjects, behaviours, given, strict=True):
        probability = subject.request.churn_probability
        if probability is not None:
            assessment = Assessment(probability, AssessmentSource.CALLER, "", now, "", behaviour.as_of)
            assessed.append(Assessed(assessment, told))
            continue
        version, fault = model.scorer.version, model.fault
        assessment = Assessment(next(scores), model.source, version, now, fault, behaviour.as_of)
        factors = _factors(model, behaviour) if subject.request.explain else ()
        assessed.append(Assessed(assessment, told, factors))
    return assessed


def _given(subjects: Sequence[Subject], now: int) -> list[Behaviour]:
    """Return what callers have told of each lead, with what its request adds."""
    before = [given_of(subject.record) for subject in subjects]
    adding = [place for place, (_, request) in enumerate(subjects) if request.numbers or request.categories]
    old = [before[place].numeric or UNKNOWN_NUMBERS for place in adding]
    new = [subjects[place].request.numbers or UNKNOWN_NUMBERS for place in adding]
    for place, numbers in zip(adding, _overlaid(old, new), strict=True):
        request, categories = subjects[place].request, before[place].categories
        if request.categories:
            pairs = zip(request.categories, categories or UNKNOWN_CATEGORIES, strict=True)
            categories = tuple([after or earlier for after, earlier in pairs])
        before[place] = Behaviour(numbers, categories, request.features_as_of or now)
    return before


def _matrix(rows: Sequence[bytes]) -> FloatArray:
    return np.frombuffer(b"".join(rows), dtype="<f8").reshape(len(rows), len(NUMERIC))


def _overlaid(old: Sequence[bytes], new: Sequence[bytes]) -> list[bytes]:
    """Return the new numbers where they are known, and the old ones elsewhere."""
    numbers = _matrix(new)
    return [row.tobytes() for row in np.where(np.isnan(numbers), _matrix(old), numbers)]


def _scores(model: Model, behaviours: Sequence[Behaviour]) -> list[float]:
    if not behaviours:
        return []
    numeric = _matrix([behaviour.numeric or UNKNOWN_NUMBERS for behaviour in behaviours])
    categories = [behaviour.categories or UNKNOWN_CATEGORIES for behaviour in behaviours]
    scores: list[float] = model.scorer.score(numeric, categories).tolist()
    return scores


def _factors(model: Model, behaviour: Behaviour) -> tuple[Factor, ...]:
    (numbers,) = _matrix([behaviour.numeric or UNKNOWN_NUMBERS])
    return tuple(model.scorer.explain(numbers, behaviour.categories or UNKNOWN_CATEGORIES))
