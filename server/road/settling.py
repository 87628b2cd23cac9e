"""What a commit's answer means for the jobs behind it: settled, or to go again."""

from collections.abc import Sequence

from server.errors import OverloadedError
from server.metrics import CONFLICTS, DECISIONS
from server.road.job import Job
from server.road.work import LeadPlan
from server.store.partition import Written

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
