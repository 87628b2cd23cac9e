import json
import math

import numpy as np
import pytest

from model.drift import Counts, counts_in, profile_of, psi
from model.features import CATEGORIES, NUMERIC, FloatArray

NUMBER = NUMERIC[0].name
LEADS = 1_000


def leads(first: FloatArray, source: str = "portal") -> tuple[FloatArray, list[tuple[str, ...]], FloatArray]:
    """Return leads of whom one number is given, and the scores 0.05, 0.15, … in turn."""
    numeric = np.zeros((len(first), len(NUMERIC)))
    numeric[:, 0] = first
    return numeric, [(source, *[""] * (len(CATEGORIES) - 1))] * len(first), np.arange(len(first)) % 10 / 10 + 0.05


def test_a_number_is_told_in_ten_equally_filled_bins_and_one_for_unknown() -> None:
    histogram = profile_of(*leads(np.append(np.arange(900.0), [np.nan] * 100)))[NUMBER]
    assert histogram["edges"] == [89.0, 179.0, 269.0, 359.0, 449.0, 539.0, 629.0, 719.0, 809.0]
    assert histogram["shares"] == [0.09] * 10 + [0.1]


def test_a_number_that_is_always_the_same_has_one_bin() -> None:
    histogram = profile_of(*leads(np.full(LEADS, 7.0)))[NUMBER]
    assert histogram == {"edges": [], "shares": [1.0, 0.0]}


def test_a_category_is_told_by_its_values_and_one_share_for_all_others() -> None:
    profile = profile_of(*leads(np.zeros(LEADS)))
    assert profile["source"] == {"values": ["portal"], "shares": [1.0, 0.0]}
    assert counts_in(profile, *leads(np.zeros(4), source="fair"))["source"].tolist() == [0, 4]


def test_scores_have_ten_bins_of_equal_width() -> None:
    score = profile_of(*leads(np.zeros(LEADS)))["score"]
    assert score["edges"] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert score["shares"] == [0.1] * 10


def test_the_same_leads_have_not_drifted() -> None:
    rows = leads(np.arange(float(LEADS)))
    profile = json.loads(json.dumps(profile_of(*rows)))
    assert set(psi(profile, counts_in(profile, *rows)).values()) == {0.0}


def test_a_share_that_doubles_is_worth_what_the_definition_says() -> None:
    profile = {"source": {"values": ["portal"], "shares": [0.5, 0.5]}}
    counted: Counts = {"source": np.array([80, 20])}
    assert psi(profile, counted)["source"] == pytest.approx(0.3 * math.log(1.6) - 0.3 * math.log(0.4))


def test_leads_from_another_world_have_drifted_far() -> None:
    profile = profile_of(*leads(np.arange(float(LEADS))))
    found = psi(profile, counts_in(profile, *leads(np.full(LEADS, 5_000.0))))
    assert found[NUMBER] > 0.25
    assert found["score"] == 0.0


def test_counts_of_two_batches_add_up_to_those_of_both() -> None:
    numeric, categories, scores = leads(np.arange(float(LEADS)))
    profile = profile_of(numeric, categories, scores)
    whole = counts_in(profile, numeric, categories, scores)
    first = counts_in(profile, numeric[:300], categories[:300], scores[:300])
    second = counts_in(profile, numeric[300:], categories[300:], scores[300:])
    for name, counted in whole.items():
        assert (first[name] + second[name]).tolist() == counted.tolist()


def test_nothing_counted_is_not_drift_but_unknown() -> None:
    profile = profile_of(*leads(np.zeros(LEADS)))
    assert math.isnan(psi(profile, {"score": np.zeros(10, dtype=np.int64)})["score"])
