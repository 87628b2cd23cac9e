"""What the engine answers about a situation, and what follows from the rules that hit alone."""

from collections.abc import Sequence

from msgspec import Struct

from rules.compiled import Candidate, CompiledPolicy, Denial, LimitRule
from rules.rulebook import UNTRACED
from rules.vocabulary import RISK_STAGES, Stage


class Proposal(Struct, frozen=True):
    """A candidate that a rule proposes, with what speaks against it before anything else is granted."""

    candidate: Candidate
    denials: tuple[Denial, ...]
    full: tuple[LimitRule, ...]
    ends: bool  # whether all denials pass with time
    defers: bool  # whether all denials put a contact off rather than drop it


class Answer(Struct, frozen=True):
    """The engine rules that are true, and what they say of the stage: by the probability alone (`raw`), and with hysteresis."""

    fired: frozenset[int]
    hits: tuple[int, ...]  # the policy's rules among them: places in `trace_rules`, ascending
    raw: Stage
    stage: Stage
    proposals: tuple[Proposal, ...] = ()  # for that stage, in their order, each channel and playbook once


def answer_of(policy: CompiledPolicy, fired: Sequence[int]) -> Answer:
    """Return the answer that these engine rules, by their places, are."""
    rules = frozenset(fired)
    says = [(place, stage) for place, (rule, stage) in enumerate(policy.stages) if rule in rules]
    # The first three are the bands themselves, the others keep a lead in one.
    raw = max((stage for place, stage in says if place < len(RISK_STAGES)), default=Stage.NONE)
    stage = max((stage for _, stage in says), default=Stage.NONE)
    hits = tuple(sorted({policy.rules[rule].trace for rule in rules} - {UNTRACED}))
    return Answer(rules, hits, raw, stage, () if stage is Stage.NONE else _proposals(policy, rules, stage))


def is_full(limit: LimitRule, added: int, fired: frozenset[int]) -> bool:
    """Return whether a limit is full once it counts so many contacts of this decision."""
    return limit.variants[min(added, len(limit.variants) - 1)] in fired


def _proposals(policy: CompiledPolicy, fired: frozenset[int], stage: Stage) -> tuple[Proposal, ...]:
    found: dict[tuple[int, int], Proposal] = {}
    for candidate in policy.candidates:
        key = candidate.channel, candidate.playbook_code
        if candidate.stage in (None, stage) and key not in found and not fired.isdisjoint(candidate.rules):
            denials = tuple(denial for denial in candidate.denials if denial.rule in fired)
            full = tuple(limit for limit in candidate.limits if is_full(limit, 0, fired))
            ends = all(denial.hours is not None for denial in denials)
            defers = all(denial.defers for denial in denials)
            found[key] = Proposal(candidate, denials, full, ends, defers)
    return tuple(found.values())
