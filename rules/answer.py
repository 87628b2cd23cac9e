"""What the engine answers about a situation, and what follows from the rules that hit alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from rules.compiled import CompiledPolicy
from rules.course import Course, course_of
from rules.rulebook import UNTRACED
from rules.vocabulary import RISK_STAGES, Stage

NO_COURSE = Course()


@dataclass(frozen=True)
class Answer:
    """The engine rules that are true, and what they say of the stage: by the probability alone (`raw`), and with hysteresis."""

    fired: frozenset[int]
    hits: tuple[int, ...]  # the policy's rules among them: places in `trace_rules`, ascending
    raw: Stage
    stage: Stage
    course: Course = NO_COURSE  # what becomes of that stage's candidates


def answer_of(policy: CompiledPolicy, fired: Sequence[int]) -> Answer:
    """Return the answer that these engine rules, by their places, are."""
    rules = frozenset(fired)
    says = [(place, stage) for place, (rule, stage) in enumerate(policy.stages) if rule in rules]
    # The first three are the bands themselves, the others keep a lead in one.
    raw = max((stage for place, stage in says if place < len(RISK_STAGES)), default=Stage.NONE)
    stage = max((stage for _, stage in says), default=Stage.NONE)
    hits = tuple(sorted({policy.rules[rule].trace for rule in rules} - {UNTRACED}))
    return Answer(rules, hits, raw, stage, NO_COURSE if stage is Stage.NONE else course_of(policy, rules, stage))
