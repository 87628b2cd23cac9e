"""The course of a decision: what becomes of each candidate, as far as it follows from the rules that hit alone.

Limits count what the same decision has granted before, and the engine has already said, for each limit, whether it is full with none, one or
two contacts more. So the same candidates are granted to all leads with the same answer, and the same things speak against the others: that
is worked out once for each answer. Only counts and times are a lead's own; `arbitration.py` adds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rules.compiled import Candidate, CompiledPolicy, LimitRule
from rules.decision import Suppression
from rules.vocabulary import ReasonCode, Stage


@dataclass(frozen=True)
class Full:
    """A limit that is full, and how many contacts of the same decision it counts; `rule` and `maximum` as a suppression says them."""

    limit: LimitRule
    added: int
    rule: str
    maximum: float


@dataclass(frozen=True)
class Step:
    """A candidate that a rule proposes, and what becomes of it; a granted one's reasons are for leads that are held out."""

    candidate: Candidate
    granted: bool
    reasons: tuple[Suppression, ...]  # against it, without a time; limits apart
    full: tuple[int, ...] = ()  # places of the limits in the course
    ends: bool = False  # whether everything against it passes with time
    defers: bool = False  # whether everything against it puts a contact off rather than drop it


@dataclass(frozen=True)
class Course:
    """What becomes of a stage's candidates, in their order, and the limits that are against some of them, each once."""

    steps: tuple[Step, ...] = ()
    full: tuple[Full, ...] = ()


def suppression(candidate: Candidate, reason: ReasonCode, rule: str) -> Suppression:
    """Return a reason against a candidate that does not pass with time."""
    return Suppression(candidate.channel, candidate.playbook, reason, rule)


def course_of(policy: CompiledPolicy, fired: frozenset[int], stage: Stage) -> Course:
    """Return the course of a stage: each candidate is granted unless something is against it, up to the stage's number."""
    most = getattr(policy.document.max_interventions, stage.name.lower())
    steps: list[Step] = []
    granted: list[Candidate] = []
    full = FullLimits(fired)
    for candidate in _proposed(policy, fired, stage):
        step = _withheld(candidate, granted, full, fired)
        if step is None and len(granted) >= most:
            step = Step(candidate, False, (suppression(candidate, ReasonCode.LOWER_PRIORITY, "max_interventions"),))
        elif step is None:
            granted.append(candidate)
            step = Step(candidate, True, (suppression(candidate, ReasonCode.HELD_OUT, "holdout"),))
        steps.append(step)
    return Course(tuple(steps), tuple(full.found))


def _proposed(policy: CompiledPolicy, fired: frozenset[int], stage: Stage) -> Sequence[Candidate]:
    """Return the candidates that a rule proposes, each channel and playbook once."""
    found: dict[tuple[int, int], Candidate] = {}
    for candidate in policy.candidates:
        if candidate.stage in (None, stage) and not fired.isdisjoint(candidate.rules):
            found.setdefault((candidate.channel, candidate.playbook_code), candidate)
    return list(found.values())


class FullLimits:
    """Collects the limits that are full, each once: from then on nothing is granted that it counts, so it is as full for all that follow."""

    def __init__(self, fired: frozenset[int]) -> None:
        self.found: list[Full] = []
        self._fired = fired
        self._places: dict[str, int] = {}

    def place(self, limit: LimitRule, added: int) -> int | None:
        """Return the place of a limit that counts so many contacts of this decision; None when it is not full."""
        if limit.variants[min(added, len(limit.variants) - 1)] not in self._fired:
            return None
        place = self._places.setdefault(limit.fact, len(self.found))
        if place == len(self.found):
            self.found.append(Full(limit, added, f"limit.{limit.name}", float(limit.maximum)))
        return place


def _withheld(
    candidate: Candidate, granted: Sequence[Candidate], full: FullLimits, fired: frozenset[int]
) -> Step | None:
    """Return the step of a candidate that something is against; None when nothing is."""
    denials = [denial for denial in candidate.denials if denial.rule in fired]
    places = [full.place(limit, _added(limit, granted)) for limit in candidate.limits]
    against = tuple([place for place in places if place is not None])
    if not denials and not against:
        return None
    reasons = tuple([suppression(candidate, denial.reason, denial.name) for denial in denials])
    ends = all(denial.hours is not None for denial in denials)
    defers = all(denial.defers for denial in denials) and all(full.found[place].limit.defers for place in against)
    return Step(candidate, False, reasons, against, ends, defers)


def _added(limit: LimitRule, granted: Sequence[Candidate]) -> int:
    """Return how many contacts of this decision a limit counts."""
    return sum(limit.channel in (0, each.channel) and limit.playbook in (0, each.playbook_code) for each in granted)
