"""A batch of leads of all kinds: each is assessed as it would be alone."""

from typing import Any

import pytest

from model.events import event_type
from model.features import numbers_row
from model.scorer import Scorer
from rules.vocabulary import AssessmentSource
from server.models import SHIPPED
from server.road.assess import assess
from server.road.assessed import Assessed, Model, Reuse, Subject
from server.road.job import DecideInput, EventInput, LastAssessment, LeadRecord
from server.road.recording import after_event

NOW = 1_772_470_800_000
FEW = numbers_row({"days_since_last_activity": 3.0, "tenure_days": 90.0})[0]
MANY = numbers_row({"days_since_last_activity": 5.0, "active_days_7": 1.0, "gap_mean": 4.0})[0]
BOTH = numbers_row({"days_since_last_activity": 3.0, "tenure_days": 90.0, "active_days_7": 1.0, "gap_mean": 4.0})[0]
NAMED, PARTLY = ("portal", "buyer", "NY"), ("", "", "CA")


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(Scorer.load(SHIPPED))


def subject(*, told: dict[str, Any], **asked: Any) -> Subject:
    return Subject(LeadRecord(**told), DecideInput("lead", "d", b"", **asked))


def content(found: Assessed) -> tuple[object, ...]:
    given, seen = found.given, found.seen
    behaviours = [(each.numeric, each.categories, each.as_of) for each in (given, seen) if each is not None]
    return found.assessment, found.time_to_churn, found.explanation, found.reused, behaviours


def test_leads_of_all_kinds_are_assessed_in_one_batch_as_each_is_alone(model: Model) -> None:
    before: dict[str, Any] = {"numeric": MANY, "categories": NAMED, "features_as_of": NOW - 1_000}
    last = LastAssessment(0.5, AssessmentSource.MODEL, model.scorer.version, NOW - 1_000, stands=True)
    visit = event_type("site_visit")
    assert visit is not None
    active = after_event(LeadRecord(**before), EventInput("lead", "e", visit, NOW, 0.0, (), b""), NOW)
    subjects = [
        subject(told={}),
        subject(told={}, numbers=FEW, categories=NAMED),
        subject(told=before),
        subject(told=before, numbers=FEW),
        subject(told=before, numbers=FEW, categories=PARTLY, explain=True),
        subject(told=before, categories=PARTLY),
        subject(told=before, churn_probability=0.4),
        subject(told={**before, "assessment": last}, numbers=MANY, categories=NAMED),
        subject(told={**before, "assessment": last}, numbers=FEW),
        Subject(active, DecideInput("lead", "d", b"")),
        Subject(active, DecideInput("lead", "d", b"", numbers=FEW)),
    ]
    reuse = Reuse(model.scorer.version, 300_000)
    together = [content(found) for found in assess(model, subjects, NOW, reuse)]
    assert together == [content(assess(model, [each], NOW, reuse)[0]) for each in subjects]
    assert [found[3] for found in together] == [False] * 7 + [True] + [False] * 3


def test_new_numbers_lie_over_those_that_were_told_before_and_keep_those_that_are_not_told_again(model: Model) -> None:
    told = {"numeric": MANY, "categories": NAMED, "features_as_of": NOW}
    asked = [subject(told=told, numbers=FEW, categories=PARTLY), subject(told=told, numbers=BOTH)]
    found = [each.given for each in assess(model, asked, NOW)]
    assert [each.numeric for each in found] == [BOTH, BOTH]
    assert [each.categories for each in found] == [("portal", "buyer", "CA"), NAMED]
