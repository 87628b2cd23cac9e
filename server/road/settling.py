"""What a commit's answer means for the jobs behind it: settled, or to go again."""

from collections.abc import Sequence

from server.errors import OverloadedError
from server.metrics import CONFLICTS, DECISIONS
from server.road.ticket import Job
from server.road.work import LeadPlan
from server.store.batch import LeadWrite, Written

MAX_ATTEMPTS = 200


def settle_written(plans: Sequence[LeadPlan], written: Written) -> list[Job]:
    """Settle the jobs of leads that were written; return those of leads that were refused."""
    again: list[Job] = []
    DECISIONS.inc(written.decisions)
    refused = written.refused
    for place, lead_plan in enumerate(plans):
        if place in refused:
            CONFLICTS.labels(refused[place].lower()).inc()
            again += retry(lead_plan)
        else:
            settle(lead_plan)
    return again


def settle_unwritten(plans: Sequence[LeadPlan]) -> tuple[list[LeadPlan], list[LeadWrite], list[Job]]:
    """Settle the jobs of leads that nothing is written of; return the other leads' plans and writes, and the jobs that go again."""
    to_write: list[LeadPlan] = []
    writes: list[LeadWrite] = []
    again: list[Job] = []
    for lead_plan in plans:
        again += lead_plan.again
        write = lead_plan.write
        if write is None:
            settle(lead_plan)
        else:
            to_write.append(lead_plan)
            writes.append(write)
    return to_write, writes, again


def settle(lead_plan: LeadPlan) -> None:
    """Give every job of a lead its outcome."""
    for job, outcome in lead_plan.outcomes:
        job.settle(outcome)


def retry(lead_plan: LeadPlan) -> list[Job]:
    """Return a refused lead's jobs, to be gathered again; a job that lost too often gives up."""
    again = []
    for job, _ in lead_plan.outcomes:
        job.attempts += 1
        if job.attempts < MAX_ATTEMPTS:
            again.append(job)
        else:
            job.settle(OverloadedError("the lead changed faster than it could be decided"))
    return again
