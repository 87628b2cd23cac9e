"""Score: what a batch of leads looks like to the model. One call of the scorer for the whole batch."""

from typing import Final

import numpy as np

from model.activity import DAY_MS, features_of
from model.explanation import Explanation
from model.features import UNKNOWN_CATEGORIES, matrix_of, rows_of
from model.survival.estimate import NoEstimateReason, PackedEstimate
from rules.decision import Assessment
from rules.facts import MAX_FEATURE_AGE_DAYS
from rules.vocabulary import BY_CALLER, AssessmentSource, Cause
from server.road.assessed import NO_REUSE, Assessed, Model, Reuse, Subject
from server.road.job import LastAssessment, LeadRecord
from server.road.sample import Behaviour

BY_MODEL: Final = AssessmentSource.MODEL


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


def standing(subject: Subject, before: Behaviour, given: Behaviour, now: int, reuse: Reuse) -> LastAssessment | None:
    """Return the last assessment if the model would say the same again, or has nothing to go by but a caller's word; else None."""
    record, request = subject.record, subject.request
    last = record.assessment
    if last is None or request.churn_probability is not None or request.explain:
        return None
    source, assessed_at = last.source, last.assessed_at
    if source is BY_CALLER:
        # A review brings nothing new, so the caller's word counts as long as features would.
        alone = request.cause is Cause.SCHEDULE and not record.activity_at and not given.numeric
        return last if alone and now - assessed_at <= MAX_FEATURE_AGE_DAYS * DAY_MS else None
    if source is not BY_MODEL or not last.stands or last.model_version != reuse.model_version:
        return None
    # Features depend on the day and on nothing smaller.
    if not 0 <= now - assessed_at < reuse.within_ms or now // DAY_MS != assessed_at // DAY_MS:
        return None
    return last if given is before or _tells_nothing_new(record, before, given) else None


def _tells_nothing_new(record: LeadRecord, before: Behaviour, given: Behaviour) -> bool:
    if given.numeric != before.numeric or given.categories != before.categories:
        return False
    return given.as_of is None or given.as_of >= record.activity_at


def assess(model: Model, subjects: list[Subject], now: int, reuse: Reuse = NO_REUSE) -> list[Assessed]:
    """Return one assessment a lead; the scorer is called once, for those that nobody has a probability for."""
    # Lists, not any sequences: compiled code reads their items directly (900 instructions less a lead).
    before = [given_of(subject.record) for subject in subjects]
    given = _given(subjects, before, now)
    lasts = [standing(subject, before[place], given[place], now, reuse) for place, subject in enumerate(subjects)]
    seen = [
        known(subject.record, given[place], now)
        for place, subject in enumerate(subjects)
        if lasts[place] is None and subject.request.churn_probability is None
    ]
    scores, times = _scores(model, seen)
    source, version, fault = model.source, model.scorer.version, model.fault
    assessed, scored = [], 0
    for place, subject in enumerate(subjects):
        record, request, told, last = subject.record, subject.request, given[place], lasts[place]
        probability, as_of = request.churn_probability, now if record.activity_at else told.as_of
        if probability is not None:
            assessment = Assessment(probability, BY_CALLER, "", now, "", as_of)
            assessed.append(Assessed(assessment, told, NoEstimateReason.PROBABILITY_GIVEN))
        elif last is not None:
            assessment = Assessment(
                last.churn_probability, last.source, last.model_version, last.assessed_at, "", as_of
            )
            assessed.append(Assessed(assessment, told, last.time_to_churn, reused=True))
        else:
            assessment = Assessment(scores[scored], source, version, now, fault, as_of)
            explanation = _explanation(model, seen[scored]) if request.explain else None
            assessed.append(Assessed(assessment, told, times[scored], explanation, seen=seen[scored]))
            scored += 1
    return assessed


def _given(subjects: list[Subject], before: list[Behaviour], now: int) -> list[Behaviour]:
    """Return what callers have told of each lead, with what its request adds to what they had told before."""
    given = list(before)
    adding = [place for place, each in enumerate(subjects) if each.request.numbers or each.request.categories]
    old = [before[place].numeric for place in adding]
    new = [subjects[place].request.numbers for place in adding]
    for turn, numbers in enumerate(_overlaid(old, new)):
        place = adding[turn]
        request, categories = subjects[place].request, before[place].categories
        if request.categories:
            categories = _newer(categories, request.categories)
        as_of = request.features_as_of
        given[place] = Behaviour(numbers, categories, now if as_of is None else as_of)
    return given


def _newer(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    """Return the new categories where they are known, and the old ones elsewhere."""
    if "" not in new:
        return new
    return tuple([after or earlier for after, earlier in zip(new, old or UNKNOWN_CATEGORIES, strict=True)])


def _overlaid(old: list[bytes], new: list[bytes]) -> list[bytes]:
    """Return the new numbers where they are known, and the old ones elsewhere."""
    overlaid = list(new)
    earlier, numbers = matrix_of(old), matrix_of(new)
    unknown = np.isnan(numbers)
    # Most requests tell all that is known of their leads.
    (lacking,) = np.logical_or.reduce(unknown & ~np.isnan(earlier), axis=1).nonzero()
    if len(lacking):
        rows = rows_of(np.where(unknown[lacking], earlier[lacking], numbers[lacking]))
        for place, row in zip(lacking.tolist(), rows, strict=True):
            overlaid[place] = row
    return overlaid


def _scores(model: Model, behaviours: list[Behaviour]) -> tuple[list[float], list[PackedEstimate]]:
    if not behaviours:
        return [], []
    numeric = matrix_of([behaviour.numeric for behaviour in behaviours])
    categories = [behaviour.categories or UNKNOWN_CATEGORIES for behaviour in behaviours]
    probabilities, times = model.scorer.assess(numeric, categories)
    return probabilities.tolist(), times


def _explanation(model: Model, behaviour: Behaviour) -> Explanation:
    (numbers,) = matrix_of([behaviour.numeric])
    return model.scorer.explain(numbers, behaviour.categories or UNKNOWN_CATEGORIES)
