from collections import defaultdict
from typing import Any

import pytest

from rules.canary import vectors
from rules.cells import Answers, cell_of, cells_of
from rules.compiler import compile_policy
from rules.reference import true_rules
from rules.source import read_policy
from server.policies import SHIPPED


def look(view: Any) -> Any:
    return view


def test_a_bound_is_a_cell_of_its_own() -> None:
    cell = cell_of(look, [0.3, 0.6, 0.3])
    values: list[Any] = [0.0, 0.29999999999999993, 0.3, 0.30000000000000004, 0.6, 1.0]
    assert [cell(value) for value in values] == [0, 0, 1, 2, 3, 4]


@pytest.mark.parametrize(("value", "cell"), [("US", "US"), ("", ""), ("DE", None)])
def test_a_text_is_one_of_those_compared_with_or_none_of_them(value: Any, cell: str | None) -> None:
    assert cell_of(look, ["US", ""])(value) == cell


def fact(name: str) -> Any:
    return lambda facts: facts[name]


def test_situations_in_the_same_cells_make_the_same_rules_true() -> None:
    policy = compile_policy(read_policy(SHIPPED.read_text()), "v")
    cells: list[Any] = list(cells_of(policy.rules, {name: fact(name) for name in policy.facts}))
    answers = defaultdict(set)
    for facts in vectors(policy, 4_000):
        answers[tuple(cell(facts) for cell in cells)].add(true_rules(policy.rules, facts))
    assert {len(found) for found in answers.values()} == {1}


def test_the_answer_unused_for_longest_makes_room() -> None:
    answers = Answers(kept=2)
    answers.keep((1,), (1,))
    answers.keep((2,), (2,))
    assert answers.get((1,)) == (1,)
    answers.keep((3,), (3,))
    assert (answers.get((1,)), answers.get((2,)), answers.get((3,))) == ((1,), None, (3,))
