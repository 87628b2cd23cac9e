"""DecisionService: ask for decisions, look them up, have them proven."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import structlog
from keepwell.v1 import decision_pb2
from keepwell.v1 import decision_service_pb2 as messages

from server.archive import Archive
from server.caller import Caller
from server.convert.checks import Checker
from server.convert.decision import decide_response, mismatches
from server.convert.portfolio import read_portfolio
from server.convert.request import input_of
from server.convert.results import stream_responses
from server.road.job import Asked, Committed, DecideInput, Outcome
from server.road.road import Road
from server.road.ticket import Job
from server.rpc import Context, Handler, error_status
from server.services.log_page import place_of
from server.services.store_errors import store_errors
from server.services.streaming import answer_each
from server.traces import Traces

STREAM_MESSAGES_IN_FLIGHT = 4
PAGE_SIZE, LARGEST_PAGE = 50, 500
DECIDED = "; it was decided: ask again with the same request_id"
log = structlog.get_logger()


class DecisionService:
    """One front of the road."""

    def __init__(self, road: Road, archive: Archive, traces: Traces) -> None:
        self._road = road
        self._archive = archive
        self._traces = traces

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {
            "Decide": self.decide,
            "Preview": self.preview,
            "DecideStream": self.decide_stream,
            "GetDecision": self.get_decision,
            "ListDecisions": self.list_decisions,
            "VerifyDecision": self.verify_decision,
        }

    async def decide(self, request: messages.DecideRequest, caller: Caller) -> bytes:
        """Decide about one lead."""
        asked, note = [_asked(caller, request)], partial(_log_decided, caller, request.request_id)
        (outcome,) = await self._road.decide(caller.tenant, caller.clock, asked, note=note)
        committed = _committed(outcome)
        with store_errors(DECIDED):
            whole = await self._traces.whole(caller.tenant, committed)
        return decide_response(whole, replayed=committed.replayed)

    async def preview(self, request: messages.DecideRequest, caller: Caller) -> bytes:
        """Decide about one lead and write nothing."""
        asked = [_asked(caller, request)]
        (outcome,) = await self._road.decide(caller.tenant, caller.clock, asked, preview=True)
        with store_errors():
            whole = await self._traces.whole(caller.tenant, _committed(outcome))
        return decide_response(whole, replayed=False)

    async def decide_stream(
        self, requests: AsyncIterator[messages.DecideStreamRequest], caller: Caller, context: Context
    ) -> None:
        """Decide about a portfolio."""
        await answer_each(
            requests, context, STREAM_MESSAGES_IN_FLIGHT, lambda message: self._results(list(message.requests), caller)
        )

    async def _results(self, requests: Sequence[Any], caller: Caller) -> list[bytes]:
        """Return DecideStreamResponses with the results of one message, whose requests are sealed: `convert/sealed.py`."""
        read = read_portfolio(caller.tenant, requests)
        outcomes = await self._outcomes([asked for _, asked in read], caller)
        hits = {outcome.hits for outcome in outcomes if isinstance(outcome, Committed)}
        traces = {each: self._traces.kept(each) or await self._trace(caller.tenant, each) for each in hits}
        status_of = partial(error_status, caller=caller.correlation_id)
        answers = stream_responses([request_id for request_id, _ in read], outcomes, traces, status_of)
        log.info("decided_batch", requests=len(read), refused=answers.refused)
        return answers.messages

    async def _outcomes(self, asked: Sequence[DecideInput | Exception], caller: Caller) -> list[Outcome]:
        """Return one outcome a request; what is wrong with one is its outcome."""
        sound = [each for each in asked if isinstance(each, DecideInput)]
        try:
            decided: Iterator[Outcome] = iter(await self._road.decide(caller.tenant, caller.clock, sound))
        except Exception as error:  # noqa: BLE001 (told to the caller item by item: the stream goes on)
            decided = repeat(error)
        return [next(decided) if isinstance(each, DecideInput) else each for each in asked]

    async def _trace(self, tenant: str, hits: bytes) -> bytes | Exception:
        """Return the trace of some decisions, or why it is not at hand: that is those decisions' own fault, and not the stream's."""
        try:
            with store_errors(DECIDED):
                return await self._traces.of(tenant, hits)
        except Exception as error:  # noqa: BLE001 (as above)
            return error

    async def get_decision(self, request: messages.GetDecisionRequest, caller: Caller) -> bytes:
        """Look up one decision."""
        check = Checker()
        check.identifier("decision_id", request.decision_id)
        check.raise_if_any()
        with store_errors():
            entry = await self._archive.entry(caller.tenant, request.decision_id)
            return await self._traces.whole(caller.tenant, Committed(entry.decision, entry.hits, replayed=True))

    async def list_decisions(
        self, request: messages.ListDecisionsRequest, caller: Caller
    ) -> messages.ListDecisionsResponse:
        """List a lead's decisions, newest first."""
        check = Checker()
        check.identifier("lead_id", request.lead_id)
        if not 0 <= request.page_size <= LARGEST_PAGE:
            check.note("page_size", f"must be 0 to {LARGEST_PAGE}")
        check.raise_if_any()
        start = place_of(request.page_token, "ListDecisions") or None
        with store_errors():
            count = request.page_size or PAGE_SIZE
            entries, following = await self._archive.history(caller.tenant, request.lead_id, start, count)
            wholes = [
                await self._traces.whole(caller.tenant, Committed(entry.decision, entry.hits, replayed=True))
                for entry in entries
            ]
        decisions = [decision_pb2.Decision.FromString(whole) for whole in wholes]
        return messages.ListDecisionsResponse(decisions=decisions, next_page_token=following)

    async def verify_decision(
        self, request: messages.VerifyDecisionRequest, caller: Caller
    ) -> messages.VerifyDecisionResponse:
        """Decide again from what was stored, and compare."""
        check = Checker()
        check.identifier("decision_id", request.decision_id)
        check.raise_if_any()
        with store_errors():
            stored, recomputed = await self._archive.replay(caller.tenant, request.decision_id)
        found = mismatches(stored, recomputed)
        log.info("verified", decision_id=request.decision_id, match=not found)
        return messages.VerifyDecisionResponse(match=not found, mismatches=found)


def _asked(caller: Caller, request: messages.DecideRequest) -> Asked:
    return Asked(request.lead_id, partial(input_of, caller.tenant, request))


def _log_decided(caller: Caller, request_id: str, job: Job, outcome: Outcome) -> None:
    """Write the call's line in the log; it runs for a whole batch in a row, outside of the call."""
    if isinstance(outcome, Committed) and job.request is not None:
        log.info(
            "decided",
            tenant=caller.tenant,
            correlation_id=caller.correlation_id,
            request_id=request_id,
            decision_id=job.request.decision_id,
            replayed=outcome.replayed,
        )


def _committed(outcome: Outcome) -> Committed:
    if isinstance(outcome, Committed):
        return outcome
    raise outcome if isinstance(outcome, Exception) else TypeError(outcome)
