"""A plain interpreter of the same compiled rules: what the engine is held against, in tests and on a sample of live decisions."""

from collections.abc import Mapping, Sequence

from rules.compiled import EngineRule, FactValue
from rules.rulebook import holds


def true_rules(rules: Sequence[EngineRule], facts: Mapping[str, FactValue]) -> tuple[int, ...]:
    """Return the places of the rules whose every leaf holds, ascending."""
    return tuple(
        place for place, rule in enumerate(rules) if all(holds(leaf, facts[leaf.fact]) for leaf in rule.leaves)
    )
