"""The fact sheet: computes a compiled policy's facts for one situation, and writes them as the engine reads them.

The engine reads a number with an exponent and no point as an error, and compares text as raw JSON; so numbers are written out, and text is
always encoded the same way.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import lru_cache

from rules.cells import Cause, CeilingCells, Cell, Cells, Group, cells_of
from rules.compiled import CompiledPolicy, FactValue, HoursRule, LimitRule
from rules.counts import ContactCounts, Counted
from rules.decision import Situation
from rules.eligibility import use_of
from rules.facts import (
    ATTRIBUTE,
    CEILING_FACTS,
    CLOCK_FACTS,
    CONSENT,
    CONTACT_FACTS,
    FUNCTIONS,
    HISTORY_FACTS,
    KNOWN,
    FactFunction,
    attribute_fact,
    attributes_of,
    clock_of,
    consent_fact,
    consents_of,
    history_of,
)
from rules.hours import is_blocked
from rules.moment import Moment
from rules.vocabulary import Channel, ConsentState
from rules.windows import CountingWindow


def _counted(policy: CompiledPolicy) -> list[Counted]:
    """Return everything that counts a lead's own contacts."""
    limits = [Counted(limit.channel, limit.playbook, limit.window) for limit in policy.limits if not limit.tenant]
    return limits + [Counted(0, 0, CountingWindow(length_ms)) for length_ms in CONTACT_FACTS.values()]


def _hours_fact(hours: HoursRule) -> FactFunction:
    return lambda _, moment: moment.applies(hours) and is_blocked(hours.hours, moment.zones, moment.now)


def _limit_fact(limit: LimitRule) -> FactFunction:
    return lambda lead, moment: use_of(limit, 0, lead, moment).used


class FactSheet:
    """Computes the facts that one policy uses, and no others."""

    def __init__(self, policy: CompiledPolicy) -> None:
        self.names: Sequence[str] = policy.facts
        functions = self._functions(policy)
        ordered = {name: functions[name] for name in policy.facts}
        self._functions_in_order = list(ordered.values())
        self._cells = self._grouped(policy, cells_of(policy.rules, ordered))
        self._template = ",".join(f'"{name}":%s' for name in policy.facts)
        self._writers = [_writer(policy, name) for name in policy.facts]

    @staticmethod
    def _functions(policy: CompiledPolicy) -> dict[str, FactFunction]:
        functions = dict(FUNCTIONS)
        functions.update({hours.fact: _hours_fact(hours) for hours in policy.hours})
        functions.update({limit.fact: _limit_fact(limit) for limit in policy.limits})
        for channel in Channel:
            for state in ConsentState:
                fact = f"{CONSENT}{channel.name.lower()}.{state.name.lower()}"
                functions[fact] = consent_fact(channel, state)
        for rule in policy.rules:
            for leaf in rule.leaves:
                if leaf.fact.startswith(ATTRIBUTE) and not leaf.fact.endswith(KNOWN):
                    name = leaf.fact.removeprefix(ATTRIBUTE)
                    functions[leaf.fact], functions[leaf.fact + KNOWN] = attribute_fact(name, leaf.constant)
        return functions

    @staticmethod
    def _grouped(policy: CompiledPolicy, cells: Mapping[str, Cell]) -> list[Cell]:
        """Return the cells, those that can be remembered in groups."""
        hours = {hours.fact for hours in policy.hours} | CLOCK_FACTS
        counts = {limit.fact for limit in policy.limits if not limit.tenant} | CONTACT_FACTS.keys()
        attributes = {name for name in cells if name.startswith(ATTRIBUTE)}
        compared = list(dict.fromkeys(name.removeprefix(ATTRIBUTE).removesuffix(KNOWN) for name in attributes))
        consents = {name for name in cells if name.startswith(CONSENT)}
        grouped: list[tuple[Cause, AbstractSet[str]]] = [
            (clock_of, hours),
            (ContactCounts(_counted(policy)).counts, counts),
            (consents_of, consents),
            (history_of, HISTORY_FACTS),
            (attributes_of(compared), attributes),
        ]
        groups: list[Cell] = [
            Group(cause, [cells[name] for name in cells if name in names]).number
            for cause, names in grouped
            if not names.isdisjoint(cells)
        ]
        ceilings = {limit.fact for limit in policy.limits if limit.tenant} | CEILING_FACTS
        groups.append(CeilingCells([cells[name] for name in cells if name in ceilings]).cells)
        in_groups = ceilings.union(*(names for _, names in grouped))
        return groups + [cell for name, cell in cells.items() if name not in in_groups]

    def cells(self, lead: Situation, moment: Moment) -> Cells:
        """Return the cells that the facts lie in; see `cells.py`."""
        return tuple([cell(lead, moment) for cell in self._cells])

    def values(self, lead: Situation, moment: Moment) -> list[FactValue]:
        """Return the facts' values, in the order of `names`."""
        return [function(lead, moment) for function in self._functions_in_order]

    def message(self, values: Sequence[FactValue]) -> str:
        """Return the values as the inside of a JSON object."""
        return self._template % tuple([write(value) for write, value in zip(self._writers, values, strict=True)])


def _writer(policy: CompiledPolicy, name: str) -> Callable[[FactValue], str]:
    """Return how a fact's values are written, by the type of what they are compared with."""
    constant = next(leaf.constant for rule in policy.rules for leaf in rule.leaves if leaf.fact == name)
    return _written_flag if isinstance(constant, bool) else written


def _written_flag(value: FactValue) -> str:
    return "true" if value else "false"


def written(value: FactValue) -> str:
    """Return a fact's value as the engine reads it."""
    if isinstance(value, float):
        return written_float(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return _written_text(value) if isinstance(value, str) else str(value)


def written_float(value: float) -> str:
    """Return a number without an exponent."""
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


@lru_cache(maxsize=4_096)
def _written_text(text: str) -> str:
    return json.dumps(text[:256])
