"""Collects engine rules while a policy is compiled, and refuses what the engine must never see.

The bounds are the engine's: 256 rules that share a condition crash it, 512 distinct first conditions hang it, and more than 64 conditions
that hold at once under one parent are an error at evaluation. They are kept with room to spare.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any

from rules.compiled import EngineRule, FactValue, Leaf, TraceRule

UNTRACED = -1  # an engine rule that answers a question of the combiner and is no rule of the policy
MAX_RULES = 250
MAX_LEAVES = 8
MAX_TRUE_AT_ONCE = 60
MAX_TEXT = 256
MAX_INTEGER = 2**63 - 1
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
RESERVED = frozenset({"sid", "id"})
ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
WORDS = {"eq": "is", "neq": "is not", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class PolicyCompileError(Exception):
    """The policy is well formed, and still cannot be handed to the engine."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def phrase(leaves: Iterable[Leaf]) -> str:
    """Return a conjunction in words."""
    return " and ".join(f"{leaf.fact} {WORDS[leaf.operator]} {_constant(leaf.constant)}" for leaf in leaves)


def _constant(value: FactValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Rulebook:
    """Engine rules in the order of their priority, with the policy's rules that they belong to."""

    def __init__(self) -> None:
        self.rules: list[EngineRule] = []
        self.trace: list[TraceRule] = []

    def add(self, name: str, *branches: Sequence[Leaf]) -> tuple[int, ...]:
        """Add one rule of the policy, true when any branch is; return its engine rules."""
        place = len(self.trace)
        self.trace.append(TraceRule(name, " or ".join(phrase(branch) for branch in branches)))
        first = len(self.rules)
        self.extend(name, place, branches)
        return tuple(range(first, len(self.rules)))

    def extend(self, name: str, trace: int, branches: Iterable[Sequence[Leaf]]) -> None:
        """Add engine rules to a rule of the policy."""
        for branch in branches:
            self._check(name, branch)
            self.rules.append(EngineRule(f"r{len(self.rules)}", tuple(branch), trace))

    @staticmethod
    def _check(name: str, branch: Sequence[Leaf]) -> None:
        if not 1 <= len(branch) <= MAX_LEAVES:
            raise PolicyCompileError(
                "too_many_conditions", f"{name} has {len(branch)} conditions; 1 to {MAX_LEAVES} fit"
            )
        for fact, operator, constant in branch:
            if not NAME.fullmatch(fact) or fact in RESERVED or fact.startswith(("$", "__")):
                raise PolicyCompileError("fact_name", f"{name}: {fact!r} cannot name a fact")
            if isinstance(constant, bool | str) and operator not in ("eq", "neq"):
                raise PolicyCompileError("fact_type", f"{name}: {fact} can only be compared with eq and neq")
            if isinstance(constant, str) and len(constant) > MAX_TEXT:
                raise PolicyCompileError("fact_text", f"{name}: a text has at most {MAX_TEXT} characters")
            if isinstance(constant, float) and not math.isfinite(constant):
                raise PolicyCompileError("fact_number", f"{name}: a number is finite")
            if isinstance(constant, int) and abs(constant) > MAX_INTEGER:
                raise PolicyCompileError("fact_number", f"{name}: a whole number fits into 64 bits")

    def _check_types(self) -> None:
        kinds: dict[str, str] = {}
        for rule in self.rules:
            for fact, _, constant in rule.leaves:
                kind = "number" if type(constant) in (int, float) else type(constant).__name__
                if kinds.setdefault(fact, kind) != kind:
                    raise PolicyCompileError("fact_type", f"{fact} is compared with a {kinds[fact]} and with a {kind}")

    def finish(self) -> tuple[tuple[EngineRule, ...], tuple[TraceRule, ...], tuple[str, ...]]:
        """Return the rules, the trace and the facts they need; raises PolicyCompileError beyond the engine's bounds."""
        if len(self.rules) > MAX_RULES:
            raise PolicyCompileError("too_many_rules", f"the policy needs {len(self.rules)} rules; {MAX_RULES} fit")
        facts = tuple(dict.fromkeys(leaf.fact for rule in self.rules for leaf in rule.leaves))
        if len({fnv1a(fact) for fact in facts}) != len(facts):
            raise PolicyCompileError("fact_name", "two facts share a hash in the engine; rename one")
        self._check_types()
        busiest = most_true_at_once(self.rules)
        if busiest > MAX_TRUE_AT_ONCE:
            message = f"{busiest} conditions can hold at once behind the same ones; {MAX_TRUE_AT_ONCE} fit"
            raise PolicyCompileError("too_many_conditions", message)
        return tuple(self.rules), tuple(self.trace), facts


def fnv1a(name: str) -> int:
    """Return the 32-bit FNV-1a hash by which the engine tells names apart."""
    value = 2_166_136_261
    for byte in name.encode():
        value = (value ^ byte) * 16_777_619 & 0xFFFFFFFF
    return value


def most_true_at_once(rules: Sequence[EngineRule]) -> int:
    """Return a bound on the conditions that can hold at once behind the same ones: of each fact, the most that one value satisfies."""
    behind: dict[tuple[Leaf, ...], dict[str, set[Leaf]]] = {}
    for rule in rules:
        for place, leaf in enumerate(rule.leaves):
            behind.setdefault(rule.leaves[:place], {}).setdefault(leaf.fact, set()).add(leaf)
    return max((sum(map(_most, facts.values())) for facts in behind.values()), default=0)


def _most(leaves: set[Leaf]) -> int:
    constants = [leaf.constant for leaf in leaves]
    numbers = [value for value in constants if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < len(constants):
        values: list[FactValue] = [True, False] if isinstance(constants[0], bool) else [*constants, ""]
    else:
        values = [
            near
            for value in numbers
            for near in (value, value - 1e-9 - abs(value) * 1e-9, value + 1e-9 + abs(value) * 1e-9)
        ]
    return max(sum(holds(leaf, value) for leaf in leaves) for value in values)


def holds(leaf: Leaf, value: FactValue) -> bool:
    """Return whether a comparison is true: what the engine is held against."""
    _, operator, constant = leaf
    if operator == "eq":
        return value == constant
    if operator == "neq":
        return value != constant
    return not isinstance(value, str) and not isinstance(constant, str) and ORDERS[operator](value, constant)
