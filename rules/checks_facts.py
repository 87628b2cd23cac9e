"""Checks of the tenant's own rules: facts that exist, comparisons that make sense, conditions that can be true and can be false."""

import math
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from rules.compiled import Leaf
from rules.document import Condition, CustomRule, PolicyDocument
from rules.facts import ATTRIBUTE, PUBLISHED_FACTS, FactType
from rules.rulebook import holds
from rules.vocabulary import Stage
from rules.yaml_text import Path

Finding = tuple[str, str, Path, str]
RANGES = {"churn_probability": (0.0, 1.0), "local.hour": (0.0, 23.0), "local.weekday": (0.0, 6.0)}
NUMERIC_OPERATORS = ("eq", "neq", "gt", "gte", "lt", "lte")
OPERATORS = {
    FactType.NUMBER: NUMERIC_OPERATORS,
    FactType.TEXT: ("eq", "neq"),
    FactType.STAGE: ("at_least", "at_most"),
    FactType.ANY: NUMERIC_OPERATORS,
}


def check_conditions(document: PolicyDocument) -> Iterator[Finding]:
    """Find conditions that are wrong, never true, or always true."""
    for place, rule in enumerate(document.rules):
        path: Path = ("rules", place, "when")
        kind = "all" if rule.when.all is not None else "any"
        wrong = False
        for number, condition in enumerate(rule.when.all or rule.when.any or ()):
            for finding in _condition((*path, kind, number), condition):
                wrong = True
                yield finding
        if not wrong:
            yield from _sense(path, rule)


def _condition(path: Path, condition: Condition) -> Iterator[Finding]:
    kind = FactType.ANY if condition.fact.startswith(ATTRIBUTE) else PUBLISHED_FACTS.get(condition.fact)
    if kind is None:
        near = get_close_matches(condition.fact, PUBLISHED_FACTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        allowed = ", ".join([*PUBLISHED_FACTS, ATTRIBUTE + "<name>"])
        yield "error", "unknown_fact", (*path, "fact"), f"there is no fact {condition.fact!r}{hint} Facts: {allowed}"
        return
    operator, constant = condition.operator, condition.constant
    if operator not in OPERATORS[kind]:
        message = f"{condition.fact} is a {kind} and is compared with {', '.join(OPERATORS[kind])}"
        yield "error", "fact_type", (*path, operator), message
    elif kind is FactType.NUMBER and (isinstance(constant, bool) or not isinstance(constant, int | float)):
        yield "error", "fact_type", (*path, operator), f"{condition.fact} is compared with a number"
    elif kind is FactType.TEXT and not isinstance(constant, str):
        yield "error", "fact_type", (*path, operator), f"{condition.fact} is compared with a text"


def _sense(path: Path, rule: CustomRule) -> Iterator[Finding]:
    if rule.when.all is not None:
        for fact in dict.fromkeys(condition.fact for condition in rule.when.all):
            if not _possible([condition for condition in rule.when.all if condition.fact == fact]):
                yield (
                    "error",
                    "rule_never_fires",
                    (*path, "all"),
                    f"{rule.name}: no value of {fact} satisfies all of these",
                )
                return
    every = rule.when.all or rule.when.any or ()
    always = [_always(condition) for condition in every]
    if (rule.when.all is not None and all(always)) or (rule.when.any is not None and any(always)):
        yield "warning", "rule_always_fires", path, f"{rule.name} is true for every lead"
    if rule.when.any is not None and not any(_possible([condition]) for condition in every):
        yield "error", "rule_never_fires", (*path, "any"), f"{rule.name}: none of these can be true"


def _values(conditions: Sequence[Condition]) -> list[object]:
    """Return values that are enough to try: every constant, what lies next to it, and the ends of the range."""
    if conditions[0].fact == "stage":
        return list(Stage)
    constants = [condition.constant for condition in conditions]
    if any(isinstance(constant, bool | str) for constant in constants):
        return [*constants, True, False, "\0"]
    low, high = RANGES.get(conditions[0].fact, (-math.inf, math.inf))
    near = [
        f(c)
        for c in constants
        for f in (float, lambda x: math.nextafter(x, -math.inf), lambda x: math.nextafter(x, math.inf))
    ]
    return [value for value in [*near, low, high] if low <= value <= high]


def _possible(conditions: Sequence[Condition]) -> bool:
    return any(all(_true(condition, value) for condition in conditions) for value in _values(conditions))


def _always(condition: Condition) -> bool:
    if condition.fact not in RANGES and condition.fact != "stage":
        return False  # what may be unknown is never always true
    return all(_true(condition, value) for value in _values([condition]))


def _true(condition: Condition, value: object) -> bool:
    constant = condition.constant
    if condition.operator == "at_least":
        return isinstance(value, Stage) and value >= Stage[constant.upper()]
    if condition.operator == "at_most":
        return isinstance(value, Stage) and value <= Stage[constant.upper()]
    if isinstance(value, Stage) or not isinstance(value, bool | int | float | str):
        return False
    return holds(Leaf(condition.fact, condition.operator, constant), value)
