from collections.abc import Callable

import pytest
from msgspec.structs import replace

from rules.escalating import EscalationStateError, acknowledged, is_open, overdue, reassigned, resolved
from rules.lead import RaisedEscalation
from rules.vocabulary import EscalationState, Stage

NOW = 1_772_470_800_000
HOUR = 3_600_000
OPEN = RaisedEscalation("d.e", 1, "manager", NOW, NOW + HOUR, Stage.CRITICAL_RISK, HOUR, "director")


def test_nothing_happens_a_millisecond_before_it_is_due_and_the_next_target_has_it_then() -> None:
    assert overdue(OPEN, NOW + HOUR - 1) is OPEN
    after = overdue(OPEN, NOW + HOUR)
    assert (after.level, after.target, after.due_at, after.state) == (
        2,
        "director",
        NOW + 2 * HOUR,
        EscalationState.OPEN,
    )


def test_the_next_target_has_the_whole_time_even_when_nobody_looked_for_a_day() -> None:
    assert overdue(OPEN, NOW + 24 * HOUR).due_at == NOW + 25 * HOUR


def test_it_expires_when_there_is_no_next_target() -> None:
    last = overdue(overdue(OPEN, NOW + HOUR), NOW + 2 * HOUR)
    assert (last.state, last.level, last.due_at, last.closed_at) == (EscalationState.EXPIRED, 2, None, NOW + 2 * HOUR)
    alone = overdue(replace(OPEN, next_target=""), NOW + HOUR)
    assert (alone.state, alone.level) == (EscalationState.EXPIRED, 1)


def test_it_goes_to_nobody_else_once_its_lead_is_held_out() -> None:
    assert overdue(OPEN, NOW + HOUR - 1, held_out=True) is OPEN
    closed = overdue(OPEN, NOW + HOUR, held_out=True)
    assert (closed.state, closed.target, closed.level) == (EscalationState.EXPIRED, "manager", 1)
    assert (closed.resolution, closed.closed_at) == ("the lead is held out", NOW + HOUR)


def test_it_is_never_overdue_once_somebody_has_it() -> None:
    taken = acknowledged(OPEN, "Ann", NOW + 5)
    assert (taken.state, taken.acknowledged_by, taken.acknowledged_at) == (EscalationState.ACKNOWLEDGED, "Ann", NOW + 5)
    assert overdue(taken, NOW + 1_000 * HOUR) is taken


def test_taking_it_twice_changes_nothing_and_taking_it_from_somebody_is_refused() -> None:
    taken = acknowledged(OPEN, "Ann", NOW)
    assert acknowledged(taken, "Ann", NOW + 1) is taken
    with pytest.raises(EscalationStateError) as error:
        acknowledged(taken, "Bob", NOW + 1)
    assert (error.value.state, error.value.acknowledged_by) == ("ACKNOWLEDGED", "Ann")


def test_whoever_gets_it_from_somebody_has_to_acknowledge_it() -> None:
    after = reassigned(acknowledged(OPEN, "Ann", NOW), "Eve", NOW + HOUR)
    assert (after.state, after.target, after.level) == (EscalationState.OPEN, "Eve", 1)
    assert (after.due_at, after.acknowledged_by, after.acknowledged_at) == (NOW + 2 * HOUR, "", None)


CHANGES: list[Callable[[RaisedEscalation], RaisedEscalation]] = [
    lambda case: acknowledged(case, "Ann", NOW),
    lambda case: resolved(case, "", NOW),
    lambda case: reassigned(case, "Eve", NOW),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_closed_stays_closed(change: Callable[[RaisedEscalation], RaisedEscalation]) -> None:
    for case in (resolved(OPEN, "called", NOW), overdue(replace(OPEN, next_target=""), NOW + HOUR)):
        assert not is_open(case)
        assert overdue(case, NOW + 1_000 * HOUR) is case
        with pytest.raises(EscalationStateError):
            change(case)
