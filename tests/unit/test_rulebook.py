"""The engine's bounds: what fits is evaluated right, and one more is refused before the engine sees it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.compiled import EngineRule, Leaf
from rules.compiler import compile_policy
from rules.engine import RuleEngine
from rules.reference import true_rules
from rules.rulebook import MAX_LEAVES, MAX_RULES, MAX_TRUE_AT_ONCE, PolicyCompileError, Rulebook, fnv1a
from rules.source import read_policy
from server.policies import SHIPPED


def fired(rules: tuple[EngineRule, ...], facts: str) -> tuple[int, ...]:
    engine = RuleEngine(replace(compile_policy(read_policy(SHIPPED.read_text()), "v"), rules=rules))
    try:
        return engine.fired(facts)
    finally:
        engine.close()


def refusal(book: Rulebook) -> str:
    with pytest.raises(PolicyCompileError) as error:
        book.finish()
    return error.value.code


def test_eight_conditions_make_a_rule_and_nine_or_none_do_not() -> None:
    leaves = [Leaf(f"fact{number}", "eq", number) for number in range(MAX_LEAVES + 1)]
    book = Rulebook()
    book.add("whole", leaves[:-1])
    rules, _, names = book.finish()
    facts = ",".join(f'"{name}":{number}' for number, name in enumerate(names))
    assert fired(rules, facts) == (0,)
    assert fired(rules, facts.replace('"fact7":7', '"fact7":8')) == ()
    for wrong in (leaves, []):
        with pytest.raises(PolicyCompileError) as error:
            book.add("rule", wrong)
        assert error.value.code == "too_many_conditions"


def test_sixty_first_conditions_may_hold_at_once_and_sixty_one_may_not() -> None:
    book = Rulebook()
    for number in range(MAX_TRUE_AT_ONCE):
        book.add(f"rule{number}", [Leaf("number", "gt", number)])
    rules, _, _ = book.finish()
    assert len(fired(rules, '"number":100')) == 60
    assert len(fired(rules, '"number":30.5')) == 31
    book.add("one_more", [Leaf("number", "gt", 60)])
    assert refusal(book) == "too_many_conditions"


def test_conditions_that_exclude_each_other_do_not_count_together() -> None:
    book = Rulebook()
    for number in range(200):
        book.add(f"rule{number}", [Leaf("number", "eq", number)])
    for word in ("a", "b", "c"):
        book.add(f"word-{word}", [Leaf("word", "eq", word)])
    rules, _, _ = book.finish()
    assert fired(rules, '"number":199,"word":"b"') == (199, 201)


def test_sixty_conditions_behind_the_same_ones_may_hold_at_once_and_sixty_one_may_not() -> None:
    shared = [Leaf("flag", "eq", True), Leaf("word", "eq", "a")]
    book = Rulebook()
    for number in range(MAX_TRUE_AT_ONCE):
        book.add(f"rule{number}", [*shared, Leaf("number", "gt", number)])
    rules, _, _ = book.finish()
    assert fired(rules, '"flag":true,"word":"a","number":100') == tuple(range(60))
    assert fired(rules, '"flag":true,"word":"b","number":100') == ()
    book.add("one_more", [*shared, Leaf("number", "gt", 60)])
    assert refusal(book) == "too_many_conditions"


def test_as_many_rules_as_fit_behind_one_condition_are_all_evaluated() -> None:
    book = Rulebook()
    for number in range(MAX_RULES):
        book.add(f"rule{number}", [Leaf("flag", "eq", True), Leaf("number", "eq", number)])
    rules, _, _ = book.finish()
    assert fired(rules, '"flag":true,"number":249') == (249,)
    assert fired(rules, '"flag":false,"number":249') == ()


leaves = st.one_of(
    st.builds(Leaf, st.just("flag"), st.sampled_from(["eq", "neq"]), st.booleans()),
    st.builds(Leaf, st.just("word"), st.sampled_from(["eq", "neq"]), st.sampled_from(["a", "b"])),
    st.builds(Leaf, st.just("number"), st.sampled_from(["eq", "neq", "gt", "gte", "lt", "lte"]), st.integers(-2, 2)),
)


@settings(max_examples=100, deadline=None)
@given(
    conditions=st.lists(st.lists(leaves, min_size=1, max_size=4), min_size=1, max_size=50),
    flag=st.booleans(),
    word=st.sampled_from(["a", "b", "c"]),
    number=st.sampled_from([-3, -2, -1.5, 0, 1, 2, 2.5]),
)
def test_whatever_fits_is_evaluated_as_the_interpreter_does(
    conditions: list[list[Leaf]], flag: bool, word: str, number: float
) -> None:
    book = Rulebook()
    for place, condition in enumerate(conditions):
        book.add(f"rule{place}", condition)
    rules, _, _ = book.finish()
    facts = f'"flag":{str(flag).lower()},"word":"{word}","number":{number}'
    assert fired(rules, facts) == true_rules(rules, {"flag": flag, "word": word, "number": number})


def test_a_fact_is_compared_with_one_kind_of_constant() -> None:
    book = Rulebook()
    book.add("number", [Leaf("fact", "gt", 1)])
    book.add("another", [Leaf("fact", "gt", 1.5)])
    book.finish()
    book.add("text", [Leaf("fact", "eq", "1")])
    assert refusal(book) == "fact_type"


def test_two_facts_that_the_engine_cannot_tell_apart_are_refused() -> None:
    first, second = "costarring", "liquid"  # a known collision of 32-bit FNV-1a
    assert fnv1a(first) == fnv1a(second)
    book = Rulebook()
    book.add("first", [Leaf(first, "eq", 1)])
    book.finish()
    book.add("second", [Leaf(second, "eq", 1)])
    assert refusal(book) == "fact_name"
