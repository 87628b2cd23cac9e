"""What moved a score: the shares add up, and have names that people understand."""

import math

import numpy as np
import pytest

from model.explanation import MEANINGS, NAMES, Explanation
from model.fallback import FallbackScorer
from model.features import NUMERIC, FloatArray
from model.scorer import Scorer
from model.shapley import shapley_table
from model.trees import Trees, trees_from_catboost, trees_of
from server.models import SHIPPED

CATEGORY = ("portal", "buyer", "NY")


def lead(seed: int) -> FloatArray:
    draw = np.random.default_rng(seed)
    found = np.abs(draw.normal(5, 8, len(NUMERIC)))
    found[draw.random(found.shape) < 0.2] = np.nan
    return found


def tree(features: list[int], borders: list[float], values: list[float], weights: list[float]) -> Trees:
    return trees_of(
        {
            "features": [features],
            "borders": [borders],
            "values": [values],
            "weights": [weights],
            "scale": 1.0,
            "bias": 0.5,
        }
    )


def shares(trees: Trees, *row: float) -> list[float]:
    """Return the average, and what each input adds."""
    table = shapley_table(trees)
    return [table.expected, *table.contributions(trees.leaves(np.array([row]))[0], len(row)).tolist()]


def test_one_question_gives_all_to_its_feature() -> None:
    # Three of four training leads had -1: the average lead has 0, and the bias.
    assert shares(tree([1], [0.5], [-1, 3], [3, 1]), 9, 1) == pytest.approx([0.5, 0, 3])
    assert shares(tree([1], [0.5], [-1, 3], [3, 1]), 9, 0) == pytest.approx([0.5, 0, -1])


def test_two_questions_share_by_the_order_in_which_they_are_answered() -> None:
    # Average 2; knowing the first answer 3, the second 3.5, both 5: (1 + 1.5) / 2 and (1.5 + 2) / 2.
    assert shares(tree([0, 1], [0.5, 0.5], [0, 1, 2, 5], [1, 1, 1, 1]), 1, 1) == pytest.approx([2.5, 1.25, 1.75])


def test_a_feature_asked_twice_is_one_feature() -> None:
    assert shares(tree([0, 0], [0.5, 1.5], [0, 1, 2, 5], [1, 1, 1, 1]), 2, 0) == pytest.approx([2.5, 3, 0])


def test_a_tree_that_is_one_leaf_tells_everybody_the_same() -> None:
    leaf = {"splits": None, "leaf_values": [0.25], "leaf_weights": [4]}  # as CatBoost writes it
    trees = trees_of(trees_from_catboost({"oblivious_trees": [leaf], "scale_and_bias": [2.0, [0.5]]}))
    assert trees.raw(np.array([[7.0], [np.nan]])).tolist() == [1.0, 1.0]
    assert shares(trees, 7.0) == pytest.approx([1.0, 0.0])


def log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def total(explanation: Explanation) -> float:
    return explanation.base + math.fsum(factor.contribution for factor in explanation.factors)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scorer", [Scorer.load(SHIPPED), FallbackScorer()])
def test_base_and_factors_add_up_to_the_log_odds_of_the_probability(scorer: Scorer | FallbackScorer, seed: int) -> None:
    numeric = lead(seed)
    probability = scorer.score(numeric[None, :], [CATEGORY])[0]
    assert total(scorer.explain(numeric, CATEGORY)) == pytest.approx(log_odds(probability), abs=1e-9)


def shipped_with(**calibration: object) -> Scorer:
    shipped = Scorer.load(SHIPPED)
    return Scorer({**shipped.manifest, "calibration": calibration}, shipped._trees, None)


def test_under_a_platt_calibration_they_add_up_to_the_calibrated_log_odds() -> None:
    scorer = shipped_with(method="platt", slope=0.5, intercept=-1.0)
    probability = scorer.score(lead(1)[None, :], [CATEGORY])[0]
    assert total(scorer.explain(lead(1), CATEGORY)) == pytest.approx(log_odds(probability), abs=1e-9)


def test_under_an_isotonic_calibration_they_add_up_to_the_log_odds_before_it() -> None:
    scorer = shipped_with(method="isotonic", slope=1.0, intercept=0.0, knots=[[-1.0, 2.0], [0.1, 0.8]])
    before = scorer._trees.raw(scorer.encode(lead(1)[None, :], [CATEGORY]))[0]
    assert total(scorer.explain(lead(1), CATEGORY)) == pytest.approx(before, abs=1e-9)


def test_the_largest_come_first_and_the_rest_together_last() -> None:
    factors = Scorer.load(SHIPPED).explain(lead(1), CATEGORY).factors
    sizes = [abs(factor.contribution) for factor in factors[:-1]]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) == 8
    assert factors[-1][:2] == ("other", "")
    assert factors[-1].meaning == "all other features together"


def test_factors_have_plain_names_and_values() -> None:
    meanings = dict(zip(NAMES, MEANINGS, strict=True))
    assert meanings["days_since_last_activity"] == "days since the last thing the lead did"
    assert meanings["active_days_7"] == "days with activity in the last 7"
    assert meanings["gap_mean"] == "mean gap between active days (days)"
    assert meanings["page_views_30"] == "pages seen in the last 30 days"
    assert meanings["source"] == "where the lead came from"
    numeric = np.full(len(NUMERIC), np.nan)
    numeric[0] = 21
    recency, engagement = FallbackScorer().explain(numeric, CATEGORY).factors
    assert (recency.value, recency.meaning) == ("21", "days since the last thing the lead did")
    assert (engagement.value, engagement.meaning) == ("unknown", "days with activity in the last 30")
