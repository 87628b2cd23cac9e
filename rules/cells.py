"""Cells: which side of every constant each fact lies on. Two situations in the same cells make the same rules true.

A rule is a conjunction of comparisons of facts with constants and sees nothing else, so an answer of the engine holds for all situations
in the same cells. Thousands of leads share a few hundred of them, and an answer looked up costs a fifth of one computed.
Most cells follow from a few things (what a lead consented to, its clock, how many contacts each limit counts) and are remembered by those.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import count
from math import inf, nextafter
from typing import Any, TypeVar

from rules.answer import Answer
from rules.compiled import EngineRule, FactValue
from rules.decision import Situation
from rules.moment import Moment

Lead = TypeVar("Lead")  # what a fact is read from: a Situation, or in tests the facts themselves
At = TypeVar("At")  # and when: a Moment
Cell = Callable[[Situation, Moment], object]
Cells = tuple[object, ...]
Cause = Callable[[Situation, Moment], Hashable]
KEPT_ANSWERS = 4_096  # in each of two generations
KEPT_CAUSES = 4_096


def cell_of(function: Callable[[Lead, At], FactValue], constants: Sequence[FactValue]) -> Callable[[Lead, At], object]:
    """Return the fact reduced to what comparisons with these constants can tell apart."""
    if all(isinstance(constant, bool) for constant in constants):
        return function
    if all(isinstance(constant, str) for constant in constants):
        known = frozenset(constants)
        return lambda lead, moment: value if (value := function(lead, moment)) in known else None
    marks: list[Any] = sorted(set(constants))  # all are numbers: the compiler has checked it
    # Even between two marks, odd on a mark: equal, below and above stay apart.
    edges = [edge for mark in marks for edge in (mark, _just_above(mark))]
    return lambda lead, moment: bisect_right(edges, function(lead, moment))


def _just_above(number: int | float) -> int | float:
    """Return the next number that a fact can have: a float, or where floats are further apart, a whole number."""
    above = nextafter(number, inf)
    if isinstance(number, int) and number + 1 < above:  # no min(): compiled, it would make floats of both
        return number + 1
    return above


def cells_of(
    rules: Sequence[EngineRule], functions: Mapping[str, Callable[[Lead, At], FactValue]]
) -> dict[str, Callable[[Lead, At], object]]:
    """Return the cell of every fact that the rules compare, by its name, in the order of `functions`."""
    constants: dict[str, list[FactValue]] = {name: [] for name in functions}
    for rule in rules:
        for leaf in rule.leaves:
            constants[leaf.fact].append(leaf.constant)
    return {name: cell_of(function, constants[name]) for name, function in functions.items()}


class Group:
    """Cells that all follow from the same things, `cause`, and are remembered by them, as one number for all; not for a cause of None."""

    def __init__(self, cause: Cause, cells: Sequence[Cell]) -> None:
        self._cause = cause
        self._cells = cells
        self._known: dict[Hashable, int] = {}
        self._numbers: dict[Cells, int] = {}
        self._next = count()

    def number(self, lead: Situation, moment: Moment) -> int | Cells:
        """Return the number of one situation's cells; the same cells may come to have another, other ones never the same."""
        cause = self._cause(lead, moment)
        if cause is None:
            return tuple([cell(lead, moment) for cell in self._cells])
        known = self._known.get(cause)
        if known is None:
            if len(self._known) >= KEPT_CAUSES:
                self._known.clear()
                self._numbers.clear()
            cells = tuple([cell(lead, moment) for cell in self._cells])
            known = self._numbers.get(cells)
            if known is None:
                known = self._numbers[cells] = next(self._next)
            self._known[cause] = known
        return known


class CeilingCells:
    """Cells of tenant-wide limits: remembered for as long as the readings are the same object, as they are for most leads of a batch."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = cells
        self._ceilings: object = None
        self._known: Cells = ()

    def cells(self, lead: Situation, moment: Moment) -> Cells:
        """Return the cells of one situation."""
        ceilings = lead.ceilings
        if ceilings is not self._ceilings:
            self._ceilings, self._known = ceilings, tuple([cell(lead, moment) for cell in self._cells])
        return self._known


class Answers:
    """What the engine answered, by cells, in two generations: when the younger is full, what nobody asked for in the older one goes."""

    def __init__(self, kept: int = KEPT_ANSWERS) -> None:
        self._kept = kept
        self._young: dict[Cells, Answer] = {}
        self._old: dict[Cells, Answer] = {}

    def get(self, cells: Cells) -> Answer | None:
        """Return the answer for these cells; None when it has to be computed."""
        answer = self._young.get(cells)
        if answer is None:
            answer = self._old.get(cells)
            if answer is not None:
                self.keep(cells, answer)
        return answer

    def keep(self, cells: Cells, answer: Answer) -> None:
        """Remember an answer."""
        if len(self._young) >= self._kept:
            self._old, self._young = self._young, {}
        self._young[cells] = answer
