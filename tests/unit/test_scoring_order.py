from rules.document import Stages
from rules.stage import stage_of
from rules.vocabulary import Stage
from server.road.sample import Behaviour, Sample
from server.store.models import KEPT_BEFORE, Scoring


def test_the_shipped_model_scores_until_another_takes_over() -> None:
    assert Scoring().active == ""
    assert Scoring().activate("a").active == "a"


def test_going_back_goes_through_the_versions_before_and_ends_at_the_shipped_one() -> None:
    scoring = Scoring().activate("a").activate("b")
    assert scoring.roll_back().active == "a"
    assert scoring.roll_back().roll_back().active == ""


def test_every_change_has_an_etag_of_its_own() -> None:
    first = Scoring().activate("a")
    again = first.activate("b").roll_back()
    assert (first.active, first.etag, again.active, again.etag) == ("a", "1", "a", "3")


def test_only_so_many_versions_can_be_gone_back_to() -> None:
    scoring = Scoring()
    for number in range(40):
        scoring = scoring.activate(str(number))
    assert scoring.versions == tuple(str(number) for number in range(39, 38 - KEPT_BEFORE, -1))


def test_a_probability_alone_gives_the_stage_above_whose_bound_it_lies() -> None:
    bounds = (0.3, 0.3000001, 0.6, 0.6000001, 0.8, 0.8000001)
    assert [stage_of(Stages(), probability) for probability in bounds] == [
        Stage.NONE,
        Stage.EARLY_WARNING,
        Stage.EARLY_WARNING,
        Stage.ACTIVE_RISK,
        Stage.ACTIVE_RISK,
        Stage.CRITICAL_RISK,
    ]


def test_a_sample_is_bounded_and_begins_anew_when_it_was_taken() -> None:
    sample = Sample()
    for _ in range(2_048):
        assert sample.has_room
        sample.add((Behaviour(b"", (), None), 0.5))
    assert not sample.has_room
    assert len(sample.take()) == 2_048
    assert sample.has_room
    assert sample.take() == []
