"""The rule engine: durable_rules, inside the subset in which it is exact. The only file that imports it.

It goes to the C module beneath `durable.lang`, whose host starts threads that crash the process. One ruleset a policy version, one session
with one constant id, one constant fact: assert it, drain every action, retract it. Not for two threads: both would get wrong answers,
silently. Sentinel rules, first and last, must frame every trace; without them the session is broken and nothing it says counts.
"""

import json
import locale
from collections.abc import Sequence
from typing import Any

import durable_rules_engine as durable

from rules.compiled import CompiledPolicy, EngineRule, Leaf

SENTINEL = "on"
FIRST, LAST = "first", "last"
LAST_PRIORITY = 65_535
OPERATORS = {"neq": "$neq", "gt": "$gt", "gte": "$gte", "lt": "$lt", "lte": "$lte"}
RETRACT = '{"sid":"s","id":"f"}'


class EngineFaultError(Exception):
    """The engine did not answer as it must; nothing may be granted on its word."""


def _condition(leaf: Leaf) -> dict[str, Any]:
    if leaf.operator == "eq":
        return {leaf.fact: leaf.constant}
    return {OPERATORS[leaf.operator]: {leaf.fact: leaf.constant}}


def _definition(rule: EngineRule, priority: int) -> dict[str, Any]:
    conditions = [_condition(leaf) for leaf in rule.leaves]
    whole = conditions[0] if len(conditions) == 1 else {"$and": conditions}
    return {"all": [{"m": whole}], "pri": priority}


def ruleset(rules: Sequence[EngineRule]) -> str:
    """Return the rules as the engine reads them, between two sentinels."""
    sentinel = {"all": [{"m": {SENTINEL: 1}}]}
    definitions: dict[str, Any] = {FIRST: {**sentinel, "pri": 0}}
    for priority, rule in enumerate(rules, 1):
        definitions[rule.name] = _definition(rule, priority)
    definitions[LAST] = {**sentinel, "pri": LAST_PRIORITY}
    # A number with an exponent and no point is a parse error in there.
    return json.dumps(definitions, default=str)


class RuleEngine:
    """One policy's rules, loaded; `close` it, or its memory stays."""

    def __init__(self, policy: CompiledPolicy) -> None:
        if locale.localeconv()["decimal_point"] != ".":
            raise EngineFaultError("the C numeric locale is needed: elsewhere the engine misreads 0.3")
        self._places = {rule.name: place for place, rule in enumerate(policy.rules)}
        self._definition = ruleset(policy.rules)
        self._handle: int | None = None
        self._open()

    def _open(self) -> None:
        self._handle = durable.create_ruleset("policy", self._definition)
        try:
            # A session whose first action never ran crashes when it is deleted: this one's runs here and now.
            self._run(f'{{"sid":"s","id":"f","{SENTINEL}":1}}')
        except EngineFaultError:
            self._handle = None  # and so its memory stays
            raise

    def close(self) -> None:
        """Free the session, then the rules; the other order leaks. Raises EngineFaultError when they cannot be freed."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            try:
                durable.delete_state(handle, "s")
                durable.delete_ruleset(handle)
            except Exception as error:
                raise EngineFaultError(f"the engine cannot be freed: {error}") from error

    def fired(self, facts: str) -> tuple[int, ...]:
        """Return the places of the rules that are true, ascending.

        Args:
            facts: The inside of a JSON object: every fact of the policy, once, of its type, finite.

        Raises:
            EngineFaultError: The engine failed; it was rebuilt, and this evaluation does not count.

        """
        try:
            if self._handle is None:  # it could not be rebuilt after the last fault
                self._open()
            names = self._run(f'{{"sid":"s","id":"f","{SENTINEL}":1,{facts}}}')
        except EngineFaultError:
            self._rebuild()
            raise
        return tuple(map(self._places.__getitem__, names))

    def _run(self, message: str) -> list[str]:
        """Return the names of the rules that fired, without the sentinels."""
        handle = self._handle
        if handle is None:
            raise EngineFaultError("the engine is closed")
        try:
            _, offset = durable.assert_fact(handle, message)
            names = []
            started = durable.start_action_for_state(handle, offset)
            action = started and started[1]
            while action:
                names.append(action[2 : action.index('"', 2)])
                action = durable.complete_and_start_action(handle, offset)
            durable.retract_fact(handle, RETRACT)
        except Exception as error:
            raise EngineFaultError(f"the engine failed: {error}") from error
        if len(names) < 2 or names[0] != FIRST or names[-1] != LAST:  # noqa: PLR2004 (both sentinels)
            raise EngineFaultError(f"the trace has lost its sentinels: {names[:1]}…{names[-1:]}")
        return names[1:-1]

    def _rebuild(self) -> None:
        self.close()
        self._open()
