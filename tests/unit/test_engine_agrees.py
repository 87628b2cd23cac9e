from dataclasses import replace

import pytest

from rules.canary import disagreements, vectors
from rules.compiled import CompiledPolicy, EngineRule, Leaf
from rules.compiler import compile_policy
from rules.engine import EngineFaultError, RuleEngine
from rules.rulebook import MAX_RULES, PolicyCompileError, Rulebook
from rules.sheet import written
from rules.source import read_policy
from server.policies import SHIPPED


@pytest.fixture(scope="module")
def policy() -> CompiledPolicy:
    return compile_policy(read_policy(SHIPPED.read_text()), "v")


def test_the_engine_and_the_interpreter_agree_on_every_boundary(policy: CompiledPolicy) -> None:
    assert disagreements(policy, 3_000) == []


def test_a_disagreement_would_be_seen(policy: CompiledPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(policy, rules=tuple(reversed(policy.rules)))
    monkeypatch.setattr("rules.canary.true_rules", lambda _rules, facts: _true(wrong.rules, facts))
    assert disagreements(policy, 50)


def _true(rules: tuple[EngineRule, ...], facts: dict[str, object]) -> tuple[int, ...]:
    from rules.reference import true_rules

    return true_rules(rules, facts)  # type: ignore[arg-type]


def test_a_broken_fact_is_a_fault_and_the_engine_recovers(policy: CompiledPolicy) -> None:
    engine = RuleEngine(policy)
    facts = next(vectors(policy, 1))
    good = ",".join(f'"{fact}":{written(value)}' for fact, value in facts.items())
    before = engine.fired(good)
    with pytest.raises(EngineFaultError):
        engine.fired('"churn_probability":1e-05')
    assert engine.fired(good) == before
    engine.close()


def test_numbers_are_written_without_an_exponent() -> None:
    assert [written(value) for value in (1e-5, 1e16, 0.3, 7, True, 'a"b')] == [
        "0.00001",
        "10000000000000000",
        "0.3",
        "7",
        "true",
        '"a\\"b"',
    ]


@pytest.mark.parametrize(
    ("leaf", "code"),
    [
        (Leaf("sid", "eq", 1), "fact_name"),
        (Leaf("$s", "eq", 1), "fact_name"),
        (Leaf("a b", "eq", 1), "fact_name"),
        (Leaf("flag", "gt", True), "fact_type"),
        (Leaf("name", "lt", "x"), "fact_type"),
        (Leaf("name", "eq", "x" * 257), "fact_text"),
        (Leaf("number", "gt", float("inf")), "fact_number"),
        (Leaf("number", "gt", 2**63), "fact_number"),
    ],
)
def test_what_the_engine_must_never_see_is_refused(leaf: Leaf, code: str) -> None:
    with pytest.raises(PolicyCompileError) as error:
        Rulebook().add("rule", [leaf])
    assert error.value.code == code


def test_250_rules_fit_and_one_more_does_not() -> None:
    book = Rulebook()
    for number in range(MAX_RULES):
        book.add(f"rule{number}", [Leaf("number", "eq", number)])
    book.finish()
    book.add("one_more", [Leaf("number", "eq", -1)])
    with pytest.raises(PolicyCompileError) as error:
        book.finish()
    assert error.value.code == "too_many_rules"
