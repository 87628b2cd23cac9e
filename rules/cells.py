"""Cells: which side of every constant each fact lies on. Two situations in the same cells make the same rules true.

A rule is a conjunction of comparisons of facts with constants and sees nothing else, so an answer of the engine holds for all situations
in the same cells. Thousands of leads share a few hundred of them, and an answer looked up costs a fifth of one computed.
Most cells follow from a few things (what a lead consented to, its clock, how many contacts each limit counts) and are remembered by those.
"""

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from rules.answer import Answer
from rules.compiled import EngineRule, FactValue
from rules.facts import FactFunction, View

Cell = Callable[[View], object]
Cells = tuple[object, ...]
Cause = Callable[[View], Hashable]
KEPT_ANSWERS = 8_192
KEPT_CAUSES = 4_096


def cell_of(function: FactFunction, constants: Sequence[FactValue]) -> Cell:
    """Return the fact reduced to what comparisons with these constants can tell apart."""
    if all(isinstance(constant, bool) for constant in constants):
        return function
    if all(isinstance(constant, str) for constant in constants):
        known = frozenset(constants)
        return lambda view: value if (value := function(view)) in known else None
    marks: list[Any] = sorted(set(constants))  # all are numbers: the compiler has checked it

    def side(view: View) -> int:
        value: Any = function(view)
        # Even between two marks, odd on a mark: equal, below and above stay apart.
        return bisect_left(marks, value) + bisect_right(marks, value)

    return side


def cells_of(rules: Sequence[EngineRule], functions: Mapping[str, FactFunction]) -> dict[str, Cell]:
    """Return the cell of every fact that the rules compare, by its name, in the order of `functions`."""
    constants: dict[str, list[FactValue]] = {name: [] for name in functions}
    for rule in rules:
        for leaf in rule.leaves:
            constants[leaf.fact].append(leaf.constant)
    return {name: cell_of(function, constants[name]) for name, function in functions.items()}


class Group:
    """Cells that all follow from the same things, `cause`, and are remembered by them."""

    def __init__(self, cause: Cause, cells: Sequence[Cell]) -> None:
        self._cause = cause
        self._cells = cells
        self._known: dict[Hashable, Cells] = {}

    def __call__(self, view: View) -> Cells:
        """Return the cells of one situation."""
        cause = self._cause(view)
        known = self._known.get(cause)
        if known is None:
            if len(self._known) >= KEPT_CAUSES:
                self._known.clear()
            known = self._known[cause] = tuple([cell(view) for cell in self._cells])
        return known


class Answers:
    """What the engine answered, by cells; the answer unused for longest makes room."""

    def __init__(self, kept: int = KEPT_ANSWERS) -> None:
        self._kept = kept
        self._answers: OrderedDict[Cells, Answer] = OrderedDict()

    def get(self, cells: Cells) -> Answer | None:
        """Return the answer for these cells; None when it has to be computed."""
        answer = self._answers.get(cells)
        if answer is not None:
            self._answers.move_to_end(cells)
        return answer

    def keep(self, cells: Cells, answer: Answer) -> None:
        """Remember an answer."""
        self._answers[cells] = answer
        if len(self._answers) > self._kept:
            self._answers.popitem(last=False)
