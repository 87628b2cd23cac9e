"""Decide: what a batch of jobs in one partition comes to. Pure: everything it needs was gathered, nothing is written here.

Jobs for the same lead follow each other: each sees the record that the one before it left, and all land in one commit or none.
"""

from collections.abc import Sequence

from server.metrics import ENGINE_FAULTS
from server.road.assess import assess
from server.road.planner import LeadPlanner
from server.road.world import LeadPlan, LeadWork, Tally, World


def plan(world: World, work: Sequence[LeadWork], tally: Tally) -> list[LeadPlan]:
    """Return what to write for each lead.

    The first jobs of all leads are scored in one call, then the second ones, each on the record that the job before it left.
    """
    decider = world.policy.decider
    faults = decider.faults + decider.disagreements
    planners = [LeadPlanner(world, tally, lead) for lead in work]
    for turn in range(max((len(lead.jobs) for lead in work), default=0)):
        mine = [planner for planner in planners if len(planner.lead.jobs) > turn]
        asking = [(planner, subject) for planner in mine if (subject := planner.prepare(turn)) is not None]
        assessments = assess(world.model, [subject for _, subject in asking], world.now)
        for (planner, subject), assessed in zip(asking, assessments, strict=True):
            planner.decide(planner.lead.jobs[turn], subject.request, assessed)
    ENGINE_FAULTS.inc(decider.faults + decider.disagreements - faults)
    return [planner.finish() for planner in planners]
