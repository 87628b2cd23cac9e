"""What leads did, as snapshots: only what had arrived counts, and the label is what came after."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.activity import DAY_MS, Activity, features_of, with_event
from model.events import EVENT_TYPES, EventType, event_type
from model.features import number_place
from model.simulator import simulate
from model.snapshot import features_at
from model.training.history import LoggedEvent, Mark, days_so_far, logged, simulated
from model.training.snapshots import as_known, snapshot

HORIZON, SILENCE = 30, 42
RECENCY = number_place("days_since_last_activity")


def kind(name: str) -> EventType:
    found = event_type(name)
    assert found is not None
    return found


def event(lead: str, day: int, name: str = "site_visit", value: float = 0.0, arrived: int | None = None) -> LoggedEvent:
    return LoggedEvent(lead, kind(name), day * DAY_MS + 7, (day if arrived is None else arrived) * DAY_MS + 7, value)


def visits(lead: str, *days: int) -> list[LoggedEvent]:
    return [event(lead, day) for day in days]


FRAME = visits("~", 0, 199)  # a lead that spans the log, last in order


def test_a_log_gives_the_features_that_serving_gives_bit_for_bit() -> None:
    contacts = {"anna": [58, 84], "ben": [2]}
    log = [
        *visits("anna", 3, 9, 60, 61),
        event("anna", 61, "purchase", 12.37),
        event("anna", 61, "refund", 2.01),
        event("anna", 80, "email_open"),
        event("ben", 70, "inquiry"),
    ]
    sent = [LoggedEvent(lead, Mark.CONTACTED, day * DAY_MS, 0) for lead, days in contacts.items() for day in days]
    history = logged([*log, *sent, *FRAME])
    for place, lead in enumerate(("anna", "ben")):
        activity = Activity()
        for each in log:
            if each.lead == lead and isinstance(each.what, EventType):
                activity = with_event(activity, each.what, each.occurred_at, each.value)
        trained = features_at(days_so_far(history, place, place + 1, 85), 85)[0]
        np.testing.assert_array_equal(trained, features_of(activity, 85 * DAY_MS, contacts[lead]))


def test_the_simulator_s_history_gives_the_features_of_its_portfolio() -> None:
    world = simulate(50, 200, seed=5)
    history = simulated(world)
    np.testing.assert_array_equal(features_at(days_so_far(history, 0, 50, 150), 150), features_at(world, 150))


events = st.builds(
    LoggedEvent,
    st.sampled_from(["anna", "ben"]),
    st.sampled_from([each for each in EVENT_TYPES if not each.withdraws_consent]),
    st.integers(0, 200 * DAY_MS - 1),
    st.just(0),
    st.floats(0, 1_000),
).map(lambda each: each._replace(arrived_at=each.occurred_at))


@settings(max_examples=60, deadline=None)
@given(st.lists(events, min_size=1, max_size=30), st.lists(events, max_size=30), st.integers(90, 160))
def test_what_happens_after_a_snapshot_does_not_change_its_features(
    past: list[LoggedEvent], future: list[LoggedEvent], day: int
) -> None:
    past = [each for each in past if each.occurred_at // DAY_MS <= day]
    future = [each for each in future if each.occurred_at // DAY_MS > day and each.lead in {e.lead for e in past}]
    alone = logged([*past, *FRAME])
    together = logged([*past, *future, *FRAME])
    leads = len(alone.categories)
    np.testing.assert_array_equal(
        features_at(days_so_far(alone, 0, leads, day), day), features_at(days_so_far(together, 0, leads, day), day)
    )


def test_an_event_that_became_known_later_is_not_seen_before() -> None:
    history = logged([*visits("anna", 50, 90), event("anna", 100, arrived=103), *FRAME])
    recency = [features_at(days_so_far(history, 0, 1, day), day)[0, RECENCY] for day in (102, 103)]
    assert recency == [12.0, 3.0]


@pytest.mark.parametrize(("returns_on", "churned"), [(100, False), (101, False), (130, False), (131, True)])
def test_a_lead_has_churned_that_does_nothing_for_the_whole_horizon(returns_on: int, churned: bool) -> None:
    history = logged([*visits("anna", 60, 100, returns_on), *FRAME])
    part = snapshot(history, 100, HORIZON, SILENCE)
    assert part.leads.tolist() == [0]
    assert part.churned.tolist() == [churned or returns_on == 100]


@pytest.mark.parametrize(
    ("days", "eligible"),
    [((50, 58), True), ((50, 57), False), ((93, 93), True), ((94, 94), False)],
    ids=["silent for 42", "silent for 43", "seven days old", "six days old"],
)
def test_asked_about_are_leads_neither_silent_for_long_nor_new(days: tuple[int, ...], eligible: bool) -> None:
    history = logged([*visits("anna", *days), *FRAME])
    assert (0 in snapshot(history, 100, HORIZON, SILENCE).leads) is eligible


def test_a_lead_that_opted_out_is_not_asked_about_from_that_day_on() -> None:
    history = logged([*visits("anna", 60, 95, 99), event("anna", 97, "opt_out"), *FRAME])
    assert [0 in snapshot(history, day, HORIZON, SILENCE).leads for day in (96, 97)] == [True, False]


def test_a_churn_event_is_the_label_where_the_log_has_such_events() -> None:
    left = LoggedEvent("anna", Mark.LEFT, 130 * DAY_MS, 130 * DAY_MS)
    history = logged([*visits("anna", 60, 99, 120), *visits("ben", 60, 99), left, *FRAME])
    labels = {day: snapshot(history, day, HORIZON, SILENCE).churned[:2].tolist() for day in (99, 100)}
    assert labels == {99: [False, False], 100: [True, False]}


def test_who_learns_before_a_late_event_has_arrived_does_not_know_of_it() -> None:
    history = logged([*visits("anna", 60, 100), event("anna", 110, arrived=135), *visits("ben", 60, 100), *FRAME])
    part = snapshot(history, 100, HORIZON, SILENCE)
    labels = {day: as_known(part, day).churned.tolist() for day in (134, 135)}
    assert labels == {134: [True, True], 135: [False, True]}
    assert part.churned.tolist() == [False, True]


def test_who_learns_before_a_churn_event_has_arrived_does_not_know_of_it() -> None:
    left = LoggedEvent("anna", Mark.LEFT, 110 * DAY_MS, 135 * DAY_MS)
    history = logged([*visits("anna", 60, 100), *visits("ben", 60, 100), left, *FRAME])
    part = snapshot(history, 100, HORIZON, SILENCE)
    labels = {day: as_known(part, day).churned.tolist() for day in (134, 135)}
    assert labels == {134: [False, False], 135: [True, False]}
