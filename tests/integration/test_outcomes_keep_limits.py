"""Whatever is decided and reported, in whatever order: no limit ever grants more than it allows of what still counts."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import uuid4

import grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.outcomes import Caller

EMAIL = 1
DAY = timedelta(days=1)


class Granted(NamedTuple):
    """One granted contact."""

    intervention_id: str
    at: datetime
    channel: int
    playbook: str


class Book:
    """What has been granted, and what of it counts; written from the contract alone."""

    def __init__(self) -> None:
        self.granted: list[Granted] = []
        self.failed: set[str] = set()
        self.sent: set[str] = set()

    def counting(self, passes: Callable[[Granted], bool]) -> int:
        return sum(
            passes(each)
            for each in self.granted
            if each.intervention_id in self.sent or each.intervention_id not in self.failed
        )

    def check(self, now: datetime, granted: Sequence[Granted]) -> None:
        """Hold the shipped policy's limits on what a decision just granted against all that counts, that included."""
        assert self.counting(lambda each: each.at.date() == now.date()) <= 2
        if any(each.channel == EMAIL for each in granted):
            assert self.counting(lambda each: each.channel == EMAIL and each.at > now - DAY) <= 1
            assert self.counting(lambda each: each.channel == EMAIL and each.at > now - 7 * DAY) <= 3
        for playbook in {each.playbook for each in granted}:
            assert self.counting(lambda each, name=playbook: each.playbook == name and each.at > now - 14 * DAY) == 1  # type: ignore[misc]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("decide"), st.sampled_from([0, 1, 23, 24, 24 * 7, 24 * 14])),
        st.tuples(st.sampled_from(["fail", "deliver", "bounce"]), st.integers(0, 50)),
    ),
    min_size=4,
    max_size=40,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_granted_less_given_back_never_exceeds_a_limit(channel: grpc.Channel, steps: list[tuple[str, int]]) -> None:
    caller, book = Caller(channel, f"t{uuid4().hex[:12]}"), Book()
    for step, number in steps:
        if step == "decide":
            caller.now += timedelta(hours=number)
            actions = caller.decide().interventions
            granted = [Granted(a.intervention_id, caller.now, a.channel, a.playbook) for a in actions]
            book.granted += granted
            if granted:
                book.check(caller.now, granted)
        elif book.granted:
            one = book.granted[number % len(book.granted)].intervention_id
            if step == "fail":
                caller.fail_unsent(one)
                book.failed.add(one)
            else:
                caller.report(caller.outcome(one, "DELIVERED" if step == "deliver" else "FAILED", was_sent=True))
                book.sent.add(one)
    if book.granted:
        today = book.counting(lambda each: each.at.date() == caller.now.date())
        assert caller.used("any_daily") == today
