import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.activity import DAY_MS, Activity, features_of, with_event
from model.events import EVENT_TYPES, EventType, event_type
from model.features import NUMERIC
from model.simulator import Portfolio, simulate
from model.snapshot import AMOUNT, CLICKS, INQUIRIES, OPENS, VIEWS, features_at

COUNTERS = ((VIEWS, "page_view"), (OPENS, "email_open"), (CLICKS, "email_click"), (INQUIRIES, "inquiry"))


def kind(name: str) -> EventType:
    found = event_type(name)
    assert found is not None
    return found


def events_of(world: Portfolio, lead: int, last_day: int) -> list[tuple[EventType, int, float]]:
    """Return the events behind the simulator's daily counts: type, instant, value."""
    found = []
    for day in range(last_day + 1):
        counts = world.days[lead, day]
        at = day * DAY_MS + 43_200_000
        for column, name in COUNTERS:
            found += [(kind(name), at, 0.0)] * int(counts[column])
        if counts[AMOUNT]:
            found.append((kind("purchase"), at, float(counts[AMOUNT])))
    return found


def replay(events: list[tuple[EventType, int, float]]) -> Activity:
    activity = Activity()
    for event in events:
        activity = with_event(activity, *event)
    return activity


def test_features_from_events_are_those_that_training_computes_bit_for_bit() -> None:
    world = simulate(60, 220, seed=11)
    for day in (30, 119, 219):
        trained = features_at(world, day)
        for lead in np.flatnonzero(world.joined <= day):
            served = features_of(replay(events_of(world, int(lead), day)), day * DAY_MS + 80_000_000)
            np.testing.assert_array_equal(served, trained[lead], err_msg=f"lead {lead} on day {day}")


def number(activity: Activity, name: str, day: int) -> float:
    place = next(place for place, feature in enumerate(NUMERIC) if feature.name == name)
    return float(features_of(activity, day * DAY_MS)[place])


def test_time_alone_moves_a_silent_lead() -> None:
    activity = replay([(kind("site_visit"), 100 * DAY_MS, 0.0), (kind("inquiry"), 104 * DAY_MS, 0.0)])
    assert [number(activity, "days_since_last_activity", day) for day in (104, 105, 134)] == [0.0, 1.0, 30.0]
    assert [number(activity, "active_days_30", day) for day in (129, 130, 133, 134)] == [2.0, 1.0, 1.0, 0.0]
    assert [number(activity, "silence_ratio", day) for day in (104, 112)] == [0.0, 2.0]


def test_an_opened_email_is_counted_and_is_no_activity() -> None:
    activity = with_event(Activity(), kind("email_open"), 100 * DAY_MS, 0.0)
    assert number(activity, "email_opens_30", 100) == 1.0
    assert np.isnan(number(activity, "days_since_last_activity", 100))


def test_a_refund_takes_its_amount_back() -> None:
    bought = with_event(Activity(), kind("purchase"), 100 * DAY_MS, 70.0)
    assert number(with_event(bought, kind("refund"), 101 * DAY_MS, 20.0), "amount_90", 101) == 50.0


late_events = st.lists(
    st.tuples(
        st.sampled_from([each for each in EVENT_TYPES if not each.amount]),
        st.integers(1_000 * DAY_MS, 1_030 * DAY_MS - 1),
        st.just(0.0),
    ),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(late_events, st.randoms(use_true_random=False))
def test_the_order_in_which_events_arrive_makes_no_difference(
    events: list[tuple[EventType, int, float]], shuffler: object
) -> None:
    shuffled = list(events)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    assert replay(events) == replay(shuffled)
