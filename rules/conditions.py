"""The tenant's own conditions as branches of leaves: any branch that holds makes the rule hit.

A fact that is unknown makes no condition true, `neq` included: its companion `<fact>.known` is asked for in the same branch.
"""

from collections.abc import Mapping
from itertools import product

from rules.compiled import Leaf
from rules.document import Condition, CustomRule
from rules.facts import ALWAYS_KNOWN, KNOWN
from rules.rulebook import PolicyCompileError
from rules.vocabulary import Stage

MAX_BRANCHES = 16
Branches = list[list[Leaf]]


def branches_of(rule: CustomRule, above: Mapping[Stage, float], hold_ms: int) -> Branches:
    """Return the branches of a rule's condition.

    Args:
        rule: As written.
        above: Bound of each stage.
        hold_ms: How long hysteresis keeps a stage; 0 keeps none.

    Raises:
        PolicyCompileError: There are more branches than make sense.

    """
    when = rule.when
    if when.any is not None:
        found = [branch for condition in when.any for branch in _condition(condition, above, hold_ms)]
    else:
        parts = [_condition(condition, above, hold_ms) for condition in when.all or ()]
        found = [[leaf for part in combination for leaf in part] for combination in product(*parts)]
    if len(found) > MAX_BRANCHES:
        message = f"rule.{rule.name} has {len(found)} alternatives; {MAX_BRANCHES} fit"
        raise PolicyCompileError("too_many_conditions", message)
    return found


def _condition(condition: Condition, above: Mapping[Stage, float], hold_ms: int) -> Branches:
    if condition.fact == "stage":
        return _stage_condition(condition, above, hold_ms)
    leaf = Leaf(condition.fact, condition.operator, condition.constant)
    if condition.fact in ALWAYS_KNOWN:
        return [[leaf]]
    return [[Leaf(condition.fact + KNOWN, "eq", True), leaf]]


def _stage_condition(condition: Condition, above: Mapping[Stage, float], hold_ms: int) -> Branches:
    """Compare with the stage after hysteresis, which the probability alone does not tell."""
    stage = Stage[str(condition.constant).upper()]
    if condition.operator == "at_least":
        reached = [[Leaf("churn_probability", "gt", above[stage])]]
        held = [Leaf("previous.stage", "gte", int(stage)), Leaf("below_stage_ms", "lt", hold_ms)]
        return [*reached, held] if hold_ms else reached
    if stage is Stage.CRITICAL_RISK:
        return [[Leaf("churn_probability", "lte", 1.0)]]
    below = Leaf("churn_probability", "lte", above[Stage(stage + 1)])
    if not hold_ms:
        return [[below]]
    return [[below, Leaf("previous.stage", "lte", int(stage))], [below, Leaf("below_stage_ms", "gte", hold_ms)]]
