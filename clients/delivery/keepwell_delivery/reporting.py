"""Tells the service what became of contacts, and notes that it knows."""

import asyncio
from collections.abc import Mapping

import structlog
from google.rpc.code_pb2 import Code
from keepwell.v1.lead_pb2 import CONSENT_STATE_WITHDRAWN
from keepwell.v1.lead_service_pb2 import SetConsentRequest
from keepwell.v1.outcome_service_pb2 import Outcome
from keepwell_client import AsyncClient, KeepwellError, RetryLaterError

from keepwell_delivery.consent import channel_of
from keepwell_delivery.job import Job
from keepwell_delivery.journal import Journal
from keepwell_delivery.metrics import OUTCOMES

AWAY_SECONDS = 2.0
TRANSIENT = frozenset({Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.INTERNAL, Code.ABORTED})

log = structlog.get_logger()


class Reporter:
    """Reports outcomes as the journal holds them: the same id and body however often."""

    def __init__(self, keepwell: AsyncClient, journal: Journal) -> None:
        self._keepwell = keepwell
        self._journal = journal

    async def report(self, outcomes: Mapping[str, bytes]) -> None:
        """Report serialised outcomes, by their journal keys.

        Raises:
            RetryLaterError: The service did not take all of them.

        """
        if not outcomes:
            return
        try:
            response = await self._keepwell.report_outcomes(Outcome.FromString(data) for data in outcomes.values())
        except KeepwellError as error:
            raise _away(error, "outcomes_not_reported") from error
        keys = list(outcomes)
        known = [keys[ack.index] for ack in response.acks if ack.status.code not in TRANSIENT]
        for ack in response.acks:
            OUTCOMES.labels(Code.Name(ack.status.code)).inc()
            if ack.status.code:
                log.error("outcome_refused", key=keys[ack.index], error=ack.status.message)
        await asyncio.to_thread(self._journal.reported, known)
        if len(known) < len(keys):
            raise RetryLaterError(AWAY_SECONDS)

    async def report_left_over(self) -> None:
        """Report what an earlier run could not; what still cannot be reported stays for the next."""
        try:
            while left := await asyncio.to_thread(self._journal.unreported):
                await self.report(dict(left))
        except RetryLaterError:
            log.warning("outcomes_left_over")

    async def withdraw(self, job: Job) -> None:
        """Record that a lead wants no more on a job's channel: the provider knew it, and the service did not.

        Raises:
            RetryLaterError: The service did not take it.

        """
        request = SetConsentRequest(
            lead_id=job.lead_id, channel=channel_of(job), state=CONSENT_STATE_WITHDRAWN, source="provider"
        )
        try:
            await self._keepwell.set_consent(request)
        except KeepwellError as error:
            raise _away(error, "opt_out_not_recorded") from error


def _away(error: KeepwellError, event: str) -> RetryLaterError:
    log.warning(event, code=error.code, reason=error.reason)
    return RetryLaterError(error.retry_seconds or AWAY_SECONDS)
