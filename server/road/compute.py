"""Decide: what a batch of jobs in one partition comes to. Pure: everything it needs was gathered, nothing is written here.

Jobs for the same lead follow each other: each sees the record that the one before it left, and all land in one commit or none. A fault of ours
fails the job that it happens to, and no other.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from rules.vocabulary import AssessmentSource
from server.metrics import ASSESSMENTS, ENGINE_FAULTS, FAILED_JOBS
from server.road.assess import assess
from server.road.assessed import Assessed, Subject
from server.road.planner import LeadPlanner
from server.road.sample import A_BATCH, Sample
from server.road.tally import Tally
from server.road.world import LeadPlan, LeadWork, World

Result = TypeVar("Result")
SCORED, REUSED = ASSESSMENTS.labels("scored"), ASSESSMENTS.labels("reused")
log = structlog.get_logger()


def plan(world: World, work: Sequence[LeadWork], tally: Tally) -> list[LeadPlan]:
    """Return what to write for each lead.

    The first jobs of all leads are scored in one call, then the second ones, each on the record that the job before it left. Each step is taken
    for all leads before the next one is: the same code in a row costs less than all of it for each lead (6 % of the server's time, measured).
    """
    decider = world.policy.decider
    faults = decider.faults + decider.disagreements
    planners: list[LeadPlanner] = []
    unreadable: list[LeadPlan] = []
    for lead in work:
        try:
            planners.append(LeadPlanner(world, tally, lead))
        except Exception as error:
            log.exception("lead_failed", jobs=len(lead.jobs))
            FAILED_JOBS.inc(len(lead.jobs))
            unreadable.append(LeadPlan(None, [(job, error) for job in lead.jobs]))
    for turn in range(max((len(lead.jobs) for lead in work), default=0)):
        _take_turn(world, [planner for planner in planners if len(planner.lead.jobs) > turn], turn)
    _report(decider.faults + decider.disagreements - faults)
    return [*map(_finished, planners), *unreadable]


def _finished(planner: LeadPlanner) -> LeadPlan:
    """Return what a lead's jobs came to; when that cannot be written down, they fail, and those of no other lead."""
    try:
        return planner.finish()
    except Exception as error:
        jobs = planner.lead.jobs
        log.exception("lead_failed", jobs=len(jobs))
        FAILED_JOBS.inc(len(jobs))
        return LeadPlan(None, [(job, error) for job in jobs])


def _report(engine_faults: int) -> None:
    """Say when the engine failed, or disagreed with the interpreter: those decisions grant nothing."""
    ENGINE_FAULTS.inc(engine_faults)
    if engine_faults:
        log.error("rule_engine_failed", decisions=engine_faults)


def _take_turn(world: World, planners: Sequence[LeadPlanner], turn: int) -> None:
    asking = [
        (planner, subject)
        for planner in planners
        if planner.fault is None and (subject := _guarded(planner, turn, planner.prepare, turn)) is not None
    ]
    found = _assessed(world, asking, turn)
    sample = world.model.sample
    if sample is not None and sample.has_room:
        _sample(sample, found, turn)
    decided = [
        (planner, each)
        for planner, subject, assessed in found
        if (each := _guarded(planner, turn, planner.decide, planner.lead.jobs[turn], subject.request, assessed))
    ]
    encoded = [
        (planner, each, decision)
        for planner, each in decided
        if (decision := _guarded(planner, turn, world.encode, each.ruling.decision, each.assessed))
    ]
    for planner, each, decision in encoded:
        _guarded(planner, turn, planner.write_down, each, decision)


def _assessed(
    world: World, asking: Sequence[tuple[LeadPlanner, Subject]], turn: int
) -> list[tuple[LeadPlanner, Subject, Assessed]]:
    """Return the leads with their assessments: from one call, or one by one when that fails."""
    try:
        together = assess(world.model, [subject for _, subject in asking], world.now, world.reuse)
        found = [(planner, subject, assessed) for (planner, subject), assessed in zip(asking, together, strict=True)]
    except Exception:
        log.exception("assessing_failed", leads=len(asking))
        found = []
        for planner, subject in asking:
            alone = _guarded(planner, turn, assess, world.model, [subject], world.now, world.reuse)
            found += [] if alone is None else [(planner, subject, alone[0])]
    by_model = [assessed for _, _, assessed in found if assessed.assessment.source is not AssessmentSource.CALLER]
    reused = sum(assessed.reused for assessed in by_model)
    REUSED.inc(reused)
    SCORED.inc(len(by_model) - reused)
    return found


def _sample(sample: Sample, found: Sequence[tuple[LeadPlanner, Subject, Assessed]], turn: int) -> None:
    """Keep some of the leads that the model scored, for drift; a preview leaves no trace."""
    for planner, _, assessed in found[:: (len(found) + A_BATCH - 1) // A_BATCH or 1]:
        if assessed.seen is not None and not planner.lead.jobs[turn].preview:
            sample.add((assessed.seen, assessed.assessment.churn_probability))


def _guarded(planner: LeadPlanner, turn: int, step: Callable[..., Result], *arguments: object) -> Result | None:
    try:
        return step(*arguments)
    except Exception as error:
        log.exception("lead_failed", jobs=1)
        FAILED_JOBS.inc()
        planner.fail(planner.lead.jobs[turn], error)
        return None
