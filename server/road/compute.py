"""Decide: what a batch of jobs in one partition comes to. Pure: everything it needs was gathered, nothing is written here.

Jobs for the same lead follow each other: each sees the record that the one before it left, and all land in one commit or none. A fault of ours
fails the job that it happens to, and no other.
"""

from collections.abc import Sequence

import structlog

from rules.vocabulary import BY_CALLER
from server.metrics import ASSESSMENTS, ENGINE_FAULTS, FAILED_JOBS
from server.road.assess import assess
from server.road.assessed import Assessed, Subject
from server.road.planner import LeadPlanner
from server.road.sample import A_BATCH, Sample
from server.road.tally import Tally
from server.road.work import LeadPlan, LeadWork
from server.road.world import EncodeDecision, World

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
    for turn in range(max([len(planner.jobs) for planner in planners], default=0)):
        _take_turn(world, [each for each in planners if len(each.jobs) > turn and each.fault is None], turn)
    FAILED_JOBS.inc(len([planner for planner in planners if planner.fault is not None]))  # one each
    _report(decider.faults + decider.disagreements - faults)
    return [_finished(planner) for planner in planners] + unreadable


def _finished(planner: LeadPlanner) -> LeadPlan:
    """Return what a lead's jobs came to; when that cannot be written down, they fail, and those of no other lead."""
    try:
        return planner.finish()
    except Exception as error:
        jobs = planner.jobs
        log.exception("lead_failed", jobs=len(jobs))
        FAILED_JOBS.inc(len(jobs))
        return LeadPlan(None, [(job, error) for job in jobs])


def _report(engine_faults: int) -> None:
    """Say when the engine failed, or disagreed with the interpreter: those decisions grant nothing."""
    ENGINE_FAULTS.inc(engine_faults)
    if engine_faults:
        log.error("rule_engine_failed", decisions=engine_faults)


def _take_turn(world: World, planners: Sequence[LeadPlanner], turn: int) -> None:
    found = _assessed(world, _prepared(planners, turn))
    sample = world.model.sample
    if sample is not None and sample.has_room:
        _sample(sample, found)
    _write_down(_encoded(world.encode, _decided(found)))


def _prepared(planners: Sequence[LeadPlanner], turn: int) -> list[tuple[LeadPlanner, Subject]]:
    asking = []
    for planner in planners:
        try:
            subject = planner.prepare(turn)
            if subject is not None:
                asking.append((planner, subject))
        except Exception as error:
            log.exception("lead_failed", jobs=1)
            planner.fail(error)
    return asking


def _assessed(world: World, asking: Sequence[tuple[LeadPlanner, Subject]]) -> list[tuple[LeadPlanner, Assessed]]:
    """Return the leads with their assessments: from one call, or one by one when that fails."""
    try:
        together = assess(world.model, [subject for _, subject in asking], world.now, world.reuse)
        found = [(planner, assessed) for (planner, _), assessed in zip(asking, together, strict=True)]
    except Exception:
        log.exception("assessing_failed", leads=len(asking))
        found = _assessed_alone(world, asking)
    unscored = [assessed for _, assessed in found if assessed.seen is None]
    SCORED.inc(len(found) - len(unscored))
    REUSED.inc(len([each for each in unscored if each.reused and each.assessment.source is not BY_CALLER]))
    return found


def _assessed_alone(world: World, asking: Sequence[tuple[LeadPlanner, Subject]]) -> list[tuple[LeadPlanner, Assessed]]:
    found: list[tuple[LeadPlanner, Assessed]] = []
    for planner, subject in asking:
        try:
            found += [(planner, alone) for alone in assess(world.model, [subject], world.now, world.reuse)]
        except Exception as error:
            log.exception("lead_failed", jobs=1)
            planner.fail(error)
    return found


def _decided(found: Sequence[tuple[LeadPlanner, Assessed]]) -> list[LeadPlanner]:
    decided = []
    for planner, assessed in found:
        try:
            if planner.decide(assessed):
                decided.append(planner)
        except Exception as error:
            log.exception("lead_failed", jobs=1)
            planner.fail(error)
    return decided


def _encoded(encode: EncodeDecision, decided: Sequence[LeadPlanner]) -> list[tuple[LeadPlanner, bytes]]:
    encoded = []
    for planner in decided:
        try:
            encoded.append((planner, encode(planner.ruling.decision, planner.assessed)))
        except Exception as error:
            log.exception("lead_failed", jobs=1)
            planner.fail(error)
    return encoded


def _write_down(encoded: Sequence[tuple[LeadPlanner, bytes]]) -> None:
    for planner, decision in encoded:
        try:
            planner.write_down(decision)
        except Exception as error:
            log.exception("lead_failed", jobs=1)
            planner.fail(error)


def _sample(sample: Sample, found: Sequence[tuple[LeadPlanner, Assessed]]) -> None:
    """Keep some of the leads that the model scored, for drift; a preview leaves no trace."""
    for planner, assessed in found[:: (len(found) + A_BATCH - 1) // A_BATCH or 1]:
        if assessed.seen is not None and not planner.job.preview:
            sample.add((assessed.seen, assessed.assessment.churn_probability))
