"""The yardsticks, against figures worked out by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.survival.cohort import Durations, days_until_silence
from model.survival.comparison import why_no_estimate
from model.survival.cox import fit_cox
from model.survival.kaplan_meier import censoring_curve, kaplan_meier
from model.survival.scores import brier_at, concordance, concordance_lead, gain, integrated_errors, ipcw_concordance
from model.training.intervals import draws, middle_95


def array(*values: float) -> NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


def durations(days: list[float], observed: list[bool]) -> Durations:
    return Durations(array(*days), np.array(observed), array(*[10.0] * len(days)))


# Leads a to e leave on day 1 and 2, are lost on day 2, leave on day 3, are lost on day 4.
CENSORED = durations([1, 2, 2, 3, 4], [True, True, False, True, False])
WHOLE = durations([1, 2, 3, 4], [True, True, True, True])


def test_kaplan_meier_takes_the_lost_out_of_those_at_risk() -> None:
    curve = kaplan_meier(CENSORED.days, CENSORED.observed)
    assert curve.at(array(0, 1, 2, 2.9, 3, 9)) == pytest.approx([1, 0.8, 0.6, 0.6, 0.3, 0.3])


def test_kaplan_meier_without_losses_is_the_share_that_is_left() -> None:
    curve = kaplan_meier(WHOLE.days, WHOLE.observed)
    assert curve.at(array(0.5, 1, 3.5, 4)) == pytest.approx([1, 0.75, 0.25, 0])


def test_who_leaves_on_a_day_was_watched_on_it() -> None:
    curve = censoring_curve(CENSORED.days, CENSORED.observed)
    assert curve.before(array(2)) == pytest.approx([1])
    assert curve.at(array(1, 2, 3, 4)) == pytest.approx([1, 2 / 3, 2 / 3, 0])


@pytest.mark.parametrize(
    ("expected", "share"),
    [((1, 3, 2, 4, 5), 7 / 8), ((1, 2, 2, 4, 5), 7.5 / 8), ((5, 4, 3, 2, 1), 0), ((7, 7, 7, 7, 7), 4 / 8)],
)
def test_concordance_counts_the_pairs_that_can_be_known(expected: tuple[float, ...], share: float) -> None:
    assert concordance(array(*expected), CENSORED) == pytest.approx(share)


def test_concordance_without_losses_is_that_of_all_pairs() -> None:
    assert concordance(array(1, 2, 4, 3), WHOLE) == pytest.approx(5 / 6)


def test_nobody_who_left_leaves_no_pair_to_compare() -> None:
    with pytest.raises(ValueError, match="no two leads"):
        concordance(array(1, 2), durations([3, 4], [False, False]))


def test_pairs_count_more_where_fewer_were_watched() -> None:
    # a has 4 pairs of weight 1, b 3 of which one is wrong, d one of weight 1 / (2/3)^2.
    assert ipcw_concordance(array(1, 3, 2, 4, 5), CENSORED, 10) == pytest.approx(8.25 / 9.25)
    assert ipcw_concordance(array(1, 3, 2, 4, 5), CENSORED, 3) == pytest.approx(6 / 7)


def test_a_model_leads_another_by_the_pairs_that_it_alone_puts_in_order() -> None:
    # Of the eight pairs of CENSORED the first has 8 right, the second 7, the third half of b's with d and e, and none of a's.
    perfect, one_wrong, tied = array(1, 2, 3, 4, 5), array(1, 3, 2, 4, 5), array(7, 7, 7, 7, 7)
    leads = np.arange(5)
    assert concordance_lead(perfect, one_wrong, CENSORED, leads, 1)[0] == 0.125
    assert concordance_lead(one_wrong, tied, CENSORED, leads, 1)[0] == 0.375
    assert concordance_lead(tied, tied, CENSORED, leads, 1) == [0, 0, 0]


def test_a_lead_is_the_difference_of_the_two_concordances_and_as_sure_as_there_are_leads() -> None:
    draw = np.random.default_rng(6)
    days, count = draw.exponential(10, 600), 600
    found = Durations(np.minimum(days, 15), days <= 15, np.full(count, 15.0))
    good, worse = days + draw.normal(0, 8, count), days + draw.normal(0, 12, count)
    lead, low, high = concordance_lead(good, worse, found, np.arange(count), 1)
    assert lead == pytest.approx(concordance(good, found) - concordance(worse, found), abs=1e-4)
    assert 0 < low < lead < high
    fourfold = Durations(np.tile(found.days, 4), np.tile(found.observed, 4), np.tile(found.known_days, 4))
    again = concordance_lead(np.tile(good, 4), np.tile(worse, 4), fourfold, np.tile(np.arange(count), 4), 1)
    assert again == pytest.approx([lead, low, high], abs=1e-4)  # the same leads four times are no more evidence


def test_the_interval_is_that_of_the_drawn_leads_own_concordances() -> None:
    draw = np.random.default_rng(5)
    days, leads = np.round(draw.exponential(5, 90)), np.repeat(np.arange(30), 3)
    found = Durations(np.minimum(days, 8), days <= 8, np.full(90, 8.0))
    one, other = np.round(days + draw.normal(0, 4, 90)), np.round(days + draw.normal(0, 6, 90))

    def lead_of(rows: NDArray[np.int64]) -> float:
        drawn = Durations(found.days[rows], found.observed[rows], found.known_days[rows])
        return concordance(one[rows], drawn) - concordance(other[rows], drawn)

    _, low, high = concordance_lead(one, other, found, leads, 1)
    assert [low, high] == middle_95([lead_of(rows) for rows in draws(leads, 1)])


def test_of_models_that_differ_by_noise_one_in_twenty_seems_better_or_worse() -> None:
    seemed = 0
    for world in range(40):
        draw = np.random.default_rng(world)
        days = draw.exponential(10, 300)
        found = Durations(days, np.ones(300, dtype=bool), days)
        one, other = days + draw.normal(0, 10, 300), days + draw.normal(0, 10, 300)
        _, low, high = concordance_lead(one, other, found, np.arange(300), 1)
        seemed += not low <= 0 <= high
    assert seemed <= 6  # of intervals that hold what they say, more would do so in one of 300 such tests


def test_nobody_who_left_leaves_no_lead_to_measure() -> None:
    with pytest.raises(ValueError, match="no two leads"):
        concordance_lead(array(1, 2), array(2, 1), durations([3, 4], [False, False]), np.arange(2), 1)


def test_brier_without_losses_is_the_mean_squared_error() -> None:
    assert brier_at(array(0.2, 0.4, 0.6, 0.9), WHOLE, 2.5) == pytest.approx(0.0925)


def test_brier_weighs_up_for_those_who_were_lost() -> None:
    # c was lost before; d and e stand for it and count 1.5 each.
    assert brier_at(array(0.2, 0.4, 0.9, 0.6, 0.9), CENSORED, 2.5) == pytest.approx(0.091)


def test_brier_refuses_a_day_that_nobody_was_watched_for() -> None:
    with pytest.raises(ValueError, match="nobody was watched for 4 days"):
        brier_at(array(0.5, 0.5, 0.5, 0.5, 0.5), CENSORED, 4)


def test_integrated_brier_is_the_mean_over_the_days() -> None:
    stays = np.stack([array(1, 1, 1, 1), array(0.2, 0.4, 0.6, 0.9)], axis=1)
    assert integrated_errors(stays, WHOLE, array(0.5, 2.5)) == pytest.approx(array(0.02, 0.08, 0.08, 0.005))
    assert integrated_errors(stays, WHOLE, array(0.5, 2.5)).mean() == pytest.approx(0.0925 / 2)


def test_a_gain_is_as_sure_as_there_are_leads() -> None:
    # Differences 1, 1, 3, 3: mean 2, deviations of 1 from it; the interval is 1.96 standard errors.
    errors, other = array(0, 0, 0, 0), array(1, 1, 3, 3)
    assert gain(errors, other, np.arange(4)) == pytest.approx((2, 2 - 1.96 / 2, 2 + 1.96 / 2), abs=1e-4)
    assert gain(errors, other, np.array([5, 5, 7, 7])) == pytest.approx(
        (2, 2 - 1.96 * 0.7071, 2 + 1.96 * 0.7071), abs=1e-3
    )


def test_cox_maximises_the_partial_likelihood_with_its_ridge() -> None:
    # The lead at +1 leaves before the one at -1: the weight b solves b = 10 / (1 + exp(2 b)).
    cox = fit_cox(np.array([[1.0], [-1.0]]), durations([1, 2], [True, True]))
    assert cox.weights == pytest.approx([1.0640], abs=1e-4)


def test_cox_that_knows_nothing_of_the_leads_is_the_curve_of_everybody() -> None:
    cox = fit_cox(np.full((3, 1), 7.0), durations([1, 2, 3], [True, True, True]))
    assert cox.stays(np.array([[7.0]]), array(0.5, 2.5))[0] == pytest.approx([1, np.exp(-1 / 3 - 1 / 2)])


@pytest.mark.parametrize(
    ("days", "snapshot", "expected", "left"),
    [
        ("x.x.......", 2, 0, True),
        ("x.........", 2, 0, True),
        ("x.x..x....", 2, 3, True),  # two silent days are not three
        ("x.x...x..x", 2, 0, True),  # three are, even of one who comes back
        ("x.x...x..x", 4, 0, True),  # begun before the snapshot
        ("x.x..x..x.", 2, 4, False),  # of day 9 nobody knows yet: all are watched to day 6
        ("x.x..xx...", 2, 4, True),
        ("x.x..x.x..", 2, 4, False),
    ],
)
def test_a_lead_leaves_at_its_last_activity_before_three_silent_days(
    days: str, snapshot: int, expected: float, left: bool
) -> None:
    active = np.array([[letter == "x" for letter in days]])
    found = days_until_silence(active, snapshot, 3)
    assert (found.days[0], found.observed[0], found.known_days[0]) == (expected, left, 6 - snapshot)


def test_a_snapshot_needs_a_silence_of_days_after_it() -> None:
    active = np.ones((1, 10), dtype=bool)
    assert days_until_silence(active, 6, 3).known_days[0] == 0
    with pytest.raises(ValueError, match="needs 3 known days after it"):
        days_until_silence(active, 7, 3)


def figures(gain_low: float, hazard: float, cox: float = 0.7, recency: float = 0.6) -> dict[str, object]:
    models = {"hazard": {"concordance": hazard}, "cox": {"concordance": cox}, "recency": {"concordance": recency}}
    return {"gain_over_kaplan_meier": [0.01, gain_low, 0.02], "models": models}


def test_a_model_that_beats_all_simpler_ones_is_used() -> None:
    assert why_no_estimate(figures(0.0001, 0.7001)) == ""


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (
            figures(0.0, 0.9),
            "no better than Kaplan-Meier on held-out leads: integrated Brier score lower by 0.01 [0.0, 0.02]",
        ),
        (figures(0.0001, 0.7), "no better than Cox on held-out leads: concordance 0.7 against 0.7"),
        (figures(0.0001, 0.7, 0.6, 0.7), "no better than recency alone on held-out leads: concordance 0.7 against 0.7"),
    ],
)
def test_a_model_that_only_equals_a_simpler_one_is_not(found: dict[str, object], reason: str) -> None:
    assert why_no_estimate(found) == reason
