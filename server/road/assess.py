"""Score: what a batch of leads looks like to the model. One call of the scorer for the whole batch."""

from collections.abc import Sequence

import numpy as np

from model.activity import DAY_MS, features_of
from model.explanation import Explanation
from model.features import UNKNOWN_CATEGORIES, matrix_of, rows_of
from model.survival.estimate import NoEstimateReason, PackedEstimate
from rules.decision import Assessment
from rules.facts import MAX_FEATURE_AGE_DAYS
from rules.vocabulary import AssessmentSource, Cause
from server.road.assessed import NO_REUSE, Assessed, Model, Reuse, Subject
from server.road.job import LastAssessment, LeadRecord
from server.road.sample import Behaviour


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
    contact_days = [contact.at // DAY_MS for contact in record.state.contacts]
    numbers = features_of(record.activity, now, contact_days).astype("<f8").tobytes()
    if given.numeric and given.as_of is not None and given.as_of >= record.activity_at:
        (numbers,) = _overlaid([numbers], [given.numeric])
    return Behaviour(numbers, given.categories, now)


def standing(subject: Subject, given: Behaviour, now: int, reuse: Reuse) -> LastAssessment | None:
    """Return the last assessment if the model would say the same again, or has nothing to go by but a caller's word; else None."""
    record, request = subject.record, subject.request
    last = record.assessment
    if last is None or request.churn_probability is not None or request.explain:
        return None
    if last.source is AssessmentSource.CALLER:
        # A review brings nothing new, so the caller's word counts as long as features would.
        alone = request.cause is Cause.SCHEDULE and not record.activity_at and not given.numeric
        return last if alone and now - last.assessed_at <= MAX_FEATURE_AGE_DAYS * DAY_MS else None
    if not last.stands or last.model_version != reuse.model_version or last.source is not AssessmentSource.MODEL:
        return None
    # Features depend on the day and on nothing smaller.
    if not 0 <= now - last.assessed_at < reuse.within_ms or now // DAY_MS != last.assessed_at // DAY_MS:
        return None
    return last if _tells_nothing_new(subject, given) else None


def _tells_nothing_new(subject: Subject, given: Behaviour) -> bool:
    record, request = subject.record, subject.request
    if not request.numbers and not request.categories:
        return True
    counts = given.as_of is None or given.as_of >= record.activity_at
    before = given_of(record)
    return counts and given.numeric == before.numeric and given.categories == before.categories


def assess(model: Model, subjects: Sequence[Subject], now: int, reuse: Reuse = NO_REUSE) -> list[Assessed]:
    """Return one assessment a lead; the scorer is called once, for those that nobody has a probability for."""
    given = _given(subjects, now)
    lasts = [standing(subject, told, now, reuse) for subject, told in zip(subjects, given, strict=True)]
    behaviours = [
        known(subject.record, told, now)
        for subject, told, last in zip(subjects, given, lasts, strict=True)
        if last is None and subject.request.churn_probability is None
    ]
    scored = iter(zip(_scores(model, behaviours), behaviours, strict=True))
    assessed = []
    for subject, told, last in zip(subjects, given, lasts, strict=True):
        record, request = subject.record, subject.request
        probability, as_of = request.churn_probability, now if record.activity_at else told.as_of
        if probability is not None:
            assessment = Assessment(probability, AssessmentSource.CALLER, "", now, "", as_of)
            assessed.append(Assessed(assessment, told, NoEstimateReason.PROBABILITY_GIVEN))
        elif last is not None:
            assessment = Assessment(
                last.churn_probability, last.source, last.model_version, last.assessed_at, "", as_of
            )
            assessed.append(Assessed(assessment, told, last.time_to_churn, reused=True))
        else:
            (score, time_to_churn), behaviour = next(scored)
            assessment = Assessment(score, model.source, model.scorer.version, now, model.fault, as_of)
            explanation = _explanation(model, behaviour) if request.explain else None
            assessed.append(Assessed(assessment, told, time_to_churn, explanation, seen=behaviour))
    return assessed


def _given(subjects: Sequence[Subject], now: int) -> list[Behaviour]:
    """Return what callers have told of each lead, with what its request adds."""
    before = [given_of(subject.record) for subject in subjects]
    adding = [place for place, each in enumerate(subjects) if each.request.numbers or each.request.categories]
    old = [before[place].numeric for place in adding]
    new = [subjects[place].request.numbers for place in adding]
    for place, numbers in zip(adding, _overlaid(old, new), strict=True):
        request, categories = subjects[place].request, before[place].categories
        if request.categories:
            pairs = zip(request.categories, categories or UNKNOWN_CATEGORIES, strict=True)
            categories = tuple([after or earlier for after, earlier in pairs])
        as_of = now if request.features_as_of is None else request.features_as_of
        before[place] = Behaviour(numbers, categories, as_of)
    return before


def _overlaid(old: Sequence[bytes], new: Sequence[bytes]) -> list[bytes]:
    """Return the new numbers where they are known, and the old ones elsewhere."""
    numbers = matrix_of(new)
    return rows_of(np.where(np.isnan(numbers), matrix_of(old), numbers))


def _scores(model: Model, behaviours: Sequence[Behaviour]) -> list[tuple[float, PackedEstimate]]:
    if not behaviours:
        return []
    numeric = matrix_of([behaviour.numeric for behaviour in behaviours])
    categories = [behaviour.categories or UNKNOWN_CATEGORIES for behaviour in behaviours]
    probabilities, times = model.scorer.assess(numeric, categories)
    return list(zip(probabilities.tolist(), times, strict=True))


def _explanation(model: Model, behaviour: Behaviour) -> Explanation:
    (numbers,) = matrix_of([behaviour.numeric])
    return model.scorer.explain(numbers, behaviour.categories or UNKNOWN_CATEGORIES)
