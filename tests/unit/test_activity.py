import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.activity import DAY_MS, QUARTER_MS, Activity, features_of, with_event
from model.events import EVENT_TYPES, EventType, event_type
from model.features import NUMERIC
from model.simulator import Portfolio, simulate
from model.snapshot import AMOUNT, CLICKS, CONTACTS, INQUIRIES, OPENS, QUARTERS, VIEWS, features_at

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
        at = day * DAY_MS + int(np.log2(max(counts[QUARTERS], 1))) * QUARTER_MS + 3_600_000
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
    contacts = np.random.default_rng(3).random((60, 220)) < 0.05
    world.days[..., CONTACTS] = contacts
    for day in (30, 119, 219):
        trained = features_at(world, day)
        for lead in np.flatnonzero(world.joined <= day):
            activity, contact_days = replay(events_of(world, int(lead), day)), np.flatnonzero(contacts[lead, : day + 1])
            served = features_of(activity, day * DAY_MS + 80_000_000, contact_days.tolist())
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


def test_counts_and_amounts_are_those_of_seven_thirty_and_ninety_days() -> None:
    at = [(kind("purchase"), day * DAY_MS, 10.0) for day in (110, 111, 170, 171, 193, 194, 200)]
    activity = replay(at)
    assert [number(activity, f"purchases_{length}", 200) for length in (7, 30, 90)] == [2.0, 4.0, 6.0]
    assert [number(activity, f"amount_{length}", 200) for length in (7, 30, 90)] == [20.0, 40.0, 60.0]
    assert [number(activity, "days_since_last_purchase", day) for day in (200, 203)] == [0.0, 3.0]
    assert number(activity, "velocity_30", 200) == 4 - 1


def test_each_type_has_its_recency() -> None:
    activity = replay([(kind("email_click"), 100 * DAY_MS, 0.0), (kind("email_open"), 103 * DAY_MS, 0.0)])
    assert number(activity, "days_since_last_email_click", 105) == 5.0
    assert np.isnan(number(activity, "days_since_last_purchase", 105))
    assert number(activity, "click_to_open_90", 105) == 1.0
    assert np.isnan(number(with_event(Activity(), kind("email_click"), 0, 0.0), "click_to_open_90", 0))


def test_the_trend_of_gaps_is_known_from_four_gaps() -> None:
    visits = [(kind("site_visit"), day * DAY_MS, 0.0) for day in (100, 102, 104, 106, 114)]
    three, four = replay(visits[:4]), replay(visits)
    assert [number(three, name, 120) for name in ("gap_std_90", "gap_max_90")] == [0.0, 2.0]
    assert np.isnan(number(three, "gap_trend_90", 120))
    assert number(four, "gap_max_90", 120) == 8.0
    assert number(four, "gap_std_90", 120) == np.sqrt(4 * (3 * 4 + 64) - 14 * 14) / 4
    assert number(four, "gap_trend_90", 120) == (12 / 3) / (14 / 4)


def answers(active_days: list[int], contact_days: list[int], day: int) -> tuple[float, float, float]:
    activity = replay([(kind("site_visit"), active * DAY_MS, 0.0) for active in active_days])
    row = dict(
        zip([feature.name for feature in NUMERIC], features_of(activity, day * DAY_MS, contact_days), strict=True)
    )
    return row["contacts_30"], row["unanswered_contacts_30"], row["response_rate_90"]


def test_a_contact_is_answered_by_activity_within_seven_days_and_judged_once_they_are_over() -> None:
    assert answers([107], [100], 110) == (1.0, 0.0, 1.0)
    assert answers([99, 108], [100], 110) == (1.0, 1.0, 0.0)
    assert answers([90], [100], 108) == (1.0, 1.0, 0.0)
    contacts, unanswered, rate = answers([90], [100], 107)
    assert (contacts, unanswered) == (1.0, 1.0)
    assert np.isnan(rate)


def test_a_contact_counts_for_thirty_days_and_its_answer_for_ninety() -> None:
    assert answers([101], [100, 120], 129) == (2.0, 1.0, 0.5)
    assert answers([101], [100, 120], 130) == (1.0, 1.0, 0.5)
    assert answers([101], [100, 120], 189) == (0.0, 0.0, 0.5)
    assert answers([101], [100, 120], 190) == (0.0, 0.0, 0.0)


def test_a_lead_that_comes_at_one_hour_of_the_week_is_more_regular_than_one_that_comes_at_all() -> None:
    evening = 20 * 3_600_000
    weekly = [(kind("site_visit"), day * DAY_MS + evening, 0.0) for day in (100, 107, 114, 121)]
    assert number(replay(weekly), "week_concentration_90", 121) == 1.0
    assert number(replay([*weekly, (kind("call"), 121 * DAY_MS, 0.0)]), "week_concentration_90", 121) == (16 + 1) / 25
    assert np.isnan(number(replay([(kind("email_open"), 0, 0.0)]), "week_concentration_90", 0))
