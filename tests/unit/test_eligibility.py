from rules.compiled import Candidate, HoursRule
from rules.eligibility import open_from
from rules.hours import blocked_hours
from rules.moment import Moment
from rules.vocabulary import Channel

HOUR = 3_600_000
MIDNIGHT = 1_772_323_200_000  # 2026-03-01T00:00:00Z


def first_free(*blocked: str, at: int) -> int | None:
    hours = tuple(HoursRule(f"hours.{place}", blocked_hours(window)) for place, window in enumerate(blocked))
    candidate = Candidate(None, Channel.SMS, "playbook", 1, 0.0, "rule", (), (), (), hours)
    return open_from(candidate, at, Moment(at, "UTC", "", ("UTC",)))


def test_hours_that_end_inside_others_are_followed_by_those() -> None:
    noon = MIDNIGHT + 12 * HOUR
    assert first_free("10:00-20:30", at=noon) == MIDNIGHT + 20 * HOUR + HOUR // 2
    # Free of the second at 20:30, which lies in the first: both are over at 22:00.
    assert first_free("20:00-22:00", "10:00-20:30", at=noon) == MIDNIGHT + 22 * HOUR


def test_hours_that_leave_nothing_free_never_end() -> None:
    assert first_free("00:00-12:00", "12:00-00:00", at=MIDNIGHT) is None
