"""OutcomeService: what became of interventions."""

from collections.abc import Mapping, Sequence

import structlog
from google.rpc.status_pb2 import Status
from keepwell.v1 import lead_pb2
from keepwell.v1 import outcome_service_pb2 as messages

from rules.vocabulary import Channel
from server.caller import Caller
from server.convert.checks import check_batch
from server.convert.outcome import outcome_of
from server.errors import IdempotencyMismatchError, InterventionNotFoundError, InvalidFieldsError
from server.interventions import Interventions
from server.metrics import CONTACTS_GIVEN_BACK, OUTCOME_REPORTS, OUTCOMES
from server.road.job import Amended, Outcome
from server.road.reporting import OutcomeInput, OutcomeReport
from server.road.road import Road
from server.rpc import Handler
from server.status import status_of

REPORT_OUTCOMES = 1_000
# What one report is refused for; anything else fails the call, which can be sent again as it is.
REFUSALS = (InvalidFieldsError, IdempotencyMismatchError, InterventionNotFoundError)
log = structlog.get_logger()


class OutcomeService:
    """Takes outcomes back in."""

    def __init__(self, road: Road, interventions: Interventions) -> None:
        self._road = road
        self._interventions = interventions

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {"ReportOutcomes": self.report_outcomes}

    async def report_outcomes(
        self, request: messages.ReportOutcomesRequest, caller: Caller
    ) -> messages.ReportOutcomesResponse:
        """Note some outcomes; those that are refused do not harm the others."""
        check_batch("", "outcomes", len(request.outcomes), REPORT_OUTCOMES)
        given, results = _checked(request.outcomes)
        reports = await self._reports(given, results, caller)
        pairs = [(report.located.lead_id, report) for report in reports.values()]
        outcomes = await self._road.amend(caller.tenant, caller.clock, pairs)
        for (place, report), outcome in zip(reports.items(), outcomes, strict=True):
            results[place] = outcome
            _count(report.given, outcome)
        acks = [lead_pb2.RejectedItem(index=place, status=_status(result)) for place, result in sorted(results.items())]
        refused = sum(ack.status.code != 0 for ack in acks)
        OUTCOME_REPORTS.labels("refused").inc(refused)
        log.info("outcomes_reported", outcomes=len(acks), refused=refused)
        return messages.ReportOutcomesResponse(acks=acks)

    async def _reports(
        self, given: Mapping[int, OutcomeInput], results: dict[int, Outcome], caller: Caller
    ) -> dict[int, OutcomeReport]:
        """Return the reports of interventions that there are, by place; note the others as refused."""
        located = await self._interventions.locate(caller.tenant, (each.intervention_id for each in given.values()))
        reports = {}
        for place, each in given.items():
            if each.intervention_id in located:
                reports[place] = OutcomeReport(each, located[each.intervention_id])
            else:
                results[place] = InterventionNotFoundError(
                    "there is no intervention with this id, or it was too long ago"
                )
        return reports


def _checked(outcomes: Sequence[messages.Outcome]) -> tuple[dict[int, OutcomeInput], dict[int, Outcome]]:
    """Return the reports that are well formed, and what is wrong with the others, by place."""
    good: dict[int, OutcomeInput] = {}
    refused: dict[int, Outcome] = {}
    for place, outcome in enumerate(outcomes):
        try:
            good[place] = outcome_of(f"outcomes[{place}].", outcome)
        except InvalidFieldsError as error:
            refused[place] = error
    return good, refused


def _count(given: OutcomeInput, outcome: Outcome) -> None:
    if isinstance(outcome, Amended):
        OUTCOME_REPORTS.labels("known" if outcome.replayed else "noted").inc()
        if not outcome.replayed:
            channel, given_back = outcome.answer
            OUTCOMES.labels(given.outcome.name, Channel(channel).name).inc()
            CONTACTS_GIVEN_BACK.labels(Channel(channel).name).inc(given_back)


def _status(outcome: Outcome) -> Status:
    if isinstance(outcome, Amended):
        return Status()
    if isinstance(outcome, REFUSALS):
        return status_of(outcome)
    raise outcome if isinstance(outcome, Exception) else TypeError(outcome)
