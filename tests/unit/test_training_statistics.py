"""Calibrations, baselines and intervals, against what is known of them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from model.calibration import Calibration, calibration_of
from model.features import FloatArray
from model.metrics import auc
from model.training.bg_nbd import BgNbd, Repeats, fit_bg_nbd
from model.training.calibrate import calibrations, isotonic, logistic, platt
from model.training.intervals import bootstrap, calibration_error_95, share_95


def outcomes(rows: int, slope: float, intercept: float) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return log-odds that are wrong by a known line, and outcomes."""
    draw = np.random.default_rng(2)
    raw = draw.normal(0, 1.5, rows)
    return raw, draw.random(rows) < 1 / (1 + np.exp(-(slope * raw + intercept)))


def test_platt_finds_the_line_that_the_outcomes_were_drawn_from() -> None:
    found = platt(*outcomes(200_000, 0.6, -0.8))
    assert [found.slope, found.intercept] == pytest.approx([0.6, -0.8], abs=0.02)


def test_platt_has_an_answer_for_leads_that_a_threshold_separates() -> None:
    raw = np.array([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0])
    probabilities = platt(raw, raw > 0).apply(raw)
    assert np.isfinite(probabilities).all()
    assert (np.diff(probabilities) > 0).all()


def test_a_number_that_is_always_the_same_tells_the_base_rate() -> None:
    churned = np.arange(1_000) < 300
    slope, intercept = logistic(np.full(1_000, 5.9), churned)
    assert 1 / (1 + np.exp(-(slope * 5.9 + intercept))) == pytest.approx(0.3, abs=1e-3)


def test_platt_does_not_turn_the_order_of_leads_around() -> None:
    raw, churned = outcomes(1_000, -1.0, 0.0)
    assert platt(raw, churned).method == "none"


def test_isotonic_needs_five_thousand_churners() -> None:
    raw, _ = outcomes(12_000, 1.0, 0.0)
    for churners, expected in ((4_999, {"none", "platt"}), (5_000, {"none", "platt", "isotonic"})):
        assert set(calibrations(raw, np.arange(12_000) < churners)) == expected


def test_isotonic_rises_is_never_certain_and_survives_the_manifest() -> None:
    raw, churned = outcomes(5_000, 1.0, 0.5)
    found = isotonic(raw, churned)
    line = np.linspace(-10, 10, 2_001)
    assert (np.diff(found.apply(line)) >= 0).all()
    assert found.apply(line).min() >= 1e-4
    assert found.apply(line).max() <= 1 - 1e-4
    again = calibration_of(found.to_json())
    np.testing.assert_array_equal(again.apply(line), found.apply(line))
    near = np.abs(raw - 1.0) < 0.25
    assert found.apply(np.array([1.0]))[0] == pytest.approx(churned[near].mean(), abs=0.04)


@pytest.mark.parametrize(
    "data",
    [
        {"method": "magic", "slope": 1.0, "intercept": 0.0},
        {"method": "isotonic", "slope": 1.0, "intercept": 0.0, "knots": [[0.0, 1.0], [0.9, 0.1]]},
        {"method": "isotonic", "slope": 1.0, "intercept": 0.0, "knots": [[0.0, 1.0], [0.5, 1.5]]},
        {"method": "isotonic", "slope": 1.0, "intercept": 0.0, "knots": [[], []]},
    ],
)
def test_a_calibration_that_cannot_be_applied_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="calibration"):
        calibration_of(data)


def test_no_calibration_is_the_logistic() -> None:
    assert Calibration().apply(np.array([0.0, np.log(3)])).tolist() == pytest.approx([0.5, 0.75])


def test_bg_nbd_gives_the_paper_s_figures() -> None:
    # The parameters and customer 5 of Fader, Hardie and Lee's note on BG/NBD in Excel: x = 2, t_x = 30.43, T = 38.86.
    model = BgNbd(0.243, 4.414, 0.793, 2.426)
    repeats = Repeats(np.array([2.0, 0.0]), np.array([30.43, 0.0]), np.array([38.86, 38.86]))
    assert model.alive(repeats)[0] == pytest.approx(0.7266, abs=1e-3)
    assert model.alive(repeats)[1] == 1.0
    assert model.silent(repeats, 0.0).tolist() == [1.0, 1.0]
    assert model.silent(repeats, 1e30).tolist() == pytest.approx([1 - 0.7266, 0.0], abs=1e-3)


def test_bg_nbd_finds_the_parameters_that_customers_were_drawn_from() -> None:
    draw = np.random.default_rng(4)
    count, last, age = [], [], []
    for _ in range(6_000):
        rate, leave, length = draw.gamma(0.8, 1 / 6.0), draw.beta(1.0, 3.0), float(draw.uniform(20, 60))
        time, bought, at = 0.0, 0, 0.0
        while True:
            time += draw.exponential(1 / rate)
            if time > length:
                break
            bought, at = bought + 1, time
            if draw.random() < leave:
                break
        count.append(float(bought))
        last.append(at)
        age.append(length)
    found = fit_bg_nbd(Repeats(np.array(count), np.array(last), np.array(age)))
    assert found.r == pytest.approx(0.8, rel=0.2)
    assert found.alpha == pytest.approx(6.0, rel=0.2)
    assert found.a / (found.a + found.b) == pytest.approx(0.25, rel=0.15)


def test_rows_that_repeat_leads_are_worth_fewer_trials() -> None:
    hits = np.tile(np.array([True] * 30 + [False] * 70), 4)
    apart, together = share_95(hits, np.arange(400)), share_95(hits, np.tile(np.arange(100), 4))
    assert apart == pytest.approx([0.2573, 0.3466], abs=1e-3)
    assert together == pytest.approx([0.2189, 0.3958], abs=1e-3)  # Wilson's of 30 in 100


def test_rows_that_all_agree_are_worth_as_many_trials_as_leads() -> None:
    assert share_95(np.ones(40, dtype=bool), np.repeat(np.arange(10), 4)) == share_95(
        np.ones(10, dtype=bool), np.arange(10)
    )


def test_nothing_is_known_of_no_rows() -> None:
    assert share_95(np.array([], dtype=bool), np.array([], dtype=np.int64)) == [0.0, 1.0]


def test_drawing_whole_leads_widens_an_interval() -> None:
    raw, churned = outcomes(400, 1.0, 0.0)
    rows = {"apart": np.arange(1_600), "together": np.tile(np.arange(400), 4)}
    width = {}
    for name, leads in rows.items():
        low, high = bootstrap({"auc": auc}, np.tile(raw, 4), np.tile(churned, 4), leads, seed=1)["auc"]
        assert low < auc(raw, churned) < high
        width[name] = high - low
    assert width["together"] > 1.5 * width["apart"]


def twice_each(seed: int, factor: float) -> tuple[FloatArray, NDArray[np.bool_], NDArray[np.int64]]:
    """Return 500 leads' probabilities, each on two rows and too low by a factor, with outcomes, and which lead each row is of."""
    draw = np.random.default_rng(seed)
    truth, leads = draw.random(500), np.repeat(np.arange(500), 2)
    return factor * truth[leads], draw.random(1_000) < truth[leads], leads


@pytest.mark.parametrize(("factor", "calibration_error"), [(1.0, 0.0), (0.9, 0.05)])
def test_the_calibration_error_s_interval_holds_the_true_one_of_nineteen_logs_in_twenty(
    factor: float, calibration_error: float
) -> None:
    intervals = [calibration_error_95(*twice_each(seed, factor), seed) for seed in range(100)]
    assert sum(low <= calibration_error <= high for low, high in intervals) >= 95


def test_the_calibration_error_s_interval_tells_a_bad_calibration_from_a_good_one() -> None:
    low, high = calibration_error_95(*twice_each(1, 0.5), 1)  # off by a quarter, as the mean probability is a half
    assert 0.15 < low < 0.25 < high < 0.35
