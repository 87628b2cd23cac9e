"""What a commit's answer means for the jobs behind it: settled, or to go again."""

from collections.abc import Sequence

from server.errors import OverloadedError
from server.metrics import CONFLICTS, DECISIONS
from server.road.job import Job
from server.road.work import LeadPlan

MAX_ATTEMPTS = 200
REFUSALS = frozenset({"CONFLICT", "LATE", "DUPLICATE", "CEILING"})


def settle_answers(written: Sequence[LeadPlan], answers: Sequence[str]) -> list[Job]:
    """Settle the jobs of leads that were written; return those of leads that were refused."""
    again: list[Job] = []
    DECISIONS.inc(sum(answer.count("-") for answer in answers if answer not in REFUSALS))  # one log id each
    for lead_plan, answer in zip(written, answers, strict=True):
        if answer in REFUSALS:
            CONFLICTS.labels(answer.lower()).inc()
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
