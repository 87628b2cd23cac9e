import pytest
from msgspec.structs import replace

from model.events import event_type
from model.fallback import FallbackScorer
from model.features import numbers_row
from rules.vocabulary import AssessmentSource, Cause
from server.road.assess import assess
from server.road.assessed import Assessed, Model, Reuse, Subject
from server.road.job import DecideInput, EventInput, LastAssessment, LeadRecord
from server.road.recording import after_event

NOW = 1_772_470_800_000
DAY = 86_400_000
REUSE = Reuse("m", 300_000)
TOLD = LastAssessment(0.5, AssessmentSource.CALLER, "", NOW)
SCORED = LastAssessment(0.5, AssessmentSource.MODEL, "m", NOW, stands=True)


def request(cause: Cause = Cause.REQUEST, **given: object) -> DecideInput:
    return DecideInput("lead", "d", b"", cause=cause, **given)  # type: ignore[arg-type]


def assessed(record: LeadRecord, asked: DecideInput, at: int = NOW) -> Assessed:
    (found,) = assess(Model(FallbackScorer()), [Subject(record, asked)], at, REUSE)
    return found


def stands(last: LastAssessment, asked: DecideInput, at: int, **record: object) -> bool:
    found = assessed(LeadRecord(assessment=last, **record), asked, at)  # type: ignore[arg-type]
    said = found.assessment
    same = (last.churn_probability, last.source, last.model_version, last.assessed_at)
    assert ((said.churn_probability, said.source, said.model_version, said.assessed_at) == same) is found.reused
    return found.reused


def test_a_callers_word_stands_in_reviews_for_thirty_days() -> None:
    review = request(Cause.SCHEDULE)
    assert stands(TOLD, review, NOW + 30 * DAY)
    assert not stands(TOLD, review, NOW + 30 * DAY + 1)


@pytest.mark.parametrize("cause", [Cause.REQUEST, Cause.EVENT])
def test_a_callers_word_stands_in_reviews_alone(cause: Cause) -> None:
    assert not stands(TOLD, request(cause), NOW)


def test_a_callers_word_gives_way_to_what_is_known_of_the_lead() -> None:
    visit = event_type("site_visit")
    assert visit is not None
    seen = after_event(LeadRecord(assessment=TOLD), EventInput("lead", "e", visit, NOW, 0.0, (), b""), NOW)
    assert not assessed(seen, request(Cause.SCHEDULE)).reused
    assert not stands(TOLD, request(Cause.SCHEDULE), NOW, numeric=numbers_row({"gap_mean": 3.0})[0], features_as_of=NOW)


def test_a_models_assessment_stands_for_its_time_in_its_day_and_for_its_model() -> None:
    assert stands(SCORED, request(), NOW + 299_999)
    assert not stands(SCORED, request(), NOW + 300_000)
    assert not stands(SCORED, request(), NOW - 1)
    assert not stands(replace(SCORED, model_version="older"), request(), NOW)
    assert not stands(replace(SCORED, source=AssessmentSource.FALLBACK), request(), NOW)
    assert not stands(replace(SCORED, stands=False), request(), NOW)


def test_features_told_again_leave_a_models_assessment_standing_and_others_do_not() -> None:
    three, four, another = (
        numbers_row({name: number})[0] for name, number in (("gap_mean", 3.0), ("gap_mean", 4.0), ("gap_last", 3.0))
    )
    told = assessed(LeadRecord(), request(numbers=three)).given
    lead = LeadRecord(numeric=told.numeric, categories=told.categories, features_as_of=NOW, assessment=SCORED)
    assert assessed(lead, request(numbers=three)).reused
    assert not assessed(lead, request(numbers=four)).reused
    assert not assessed(lead, request(numbers=another)).reused
    assert not assessed(lead, request(categories=("portal", "", ""))).reused
    assert not assessed(lead, request(explain=True)).reused
    assert not assessed(lead, request(churn_probability=0.5)).reused
