"""Makes each contact once: looks into the journal, sends, and writes down what became of it."""

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

import structlog
from keepwell.v1.decision_pb2 import INTERVENTION_OUTCOME_DELIVERED, INTERVENTION_OUTCOME_FAILED
from keepwell.v1.outcome_service_pb2 import Outcome
from keepwell_client import RetryLaterError

from keepwell_delivery.addresses import Addresses
from keepwell_delivery.config import Config
from keepwell_delivery.contact import Contact
from keepwell_delivery.job import Job
from keepwell_delivery.journal import Entry, Journal, State
from keepwell_delivery.metrics import CONTACTS
from keepwell_delivery.receipt import DeliveryError, RefusedError, TryLaterError, UncertainError
from keepwell_delivery.templates import Templates, Wording

LONGEST_WAIT_SECONDS = 604_800.0  # what Reject takes
LONGEST_BACKOFF_SECONDS = 300.0
LEASE_MARGIN_SECONDS = 1.0
SILENT = Wording("", "", "")

log = structlog.get_logger()


class Once:
    """Carries out jobs: at most one send of an intervention that anybody can have received; a notice is sent again when in doubt.

    Args:
        config: Timeouts and attempts.
        journal: What was begun before.
        templates: What to say.
        addresses: Whom to say it to.
        consent: Raises a DeliveryError when the lead of a job does not want it any more, or nobody knows.
        withdraw: Told of a job whose lead wants no more on its channel, before the job ends.
        clock: The time, in seconds since 1970.

    """

    def __init__(
        self,
        config: Config,
        journal: Journal,
        templates: Templates,
        addresses: Addresses,
        consent: Callable[[Job], Awaitable[None]],
        withdraw: Callable[[Job], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._config = config
        self._journal = journal
        self._templates = templates
        self._addresses = addresses
        self._consent = consent
        self._withdraw = withdraw
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def carry_out(self, job: Job, *, tried: int = 0, is_last: bool) -> Entry:
        """Return how the contact ended, now or before.

        Args:
            job: The contact.
            tried: How often it came before; what fails before its first send is tried later each time.
            is_last: It will not come again, so it ends now.

        Raises:
            RetryLaterError: It has not ended; the job is to come again then.

        """
        # A notice is asked for by its decision and by the stream of escalations.
        turn = self._turns.setdefault(job.key, asyncio.Lock())
        async with turn:
            return await self._carry_out(job, tried=tried, is_last=is_last)

    async def _carry_out(self, job: Job, *, tried: int, is_last: bool) -> Entry:
        entry = await asyncio.to_thread(self._journal.entry, job.key)
        if entry and entry.is_final:
            return entry
        now = self._clock()
        if entry and entry.state is State.BEGUN and now < entry.busy_until:
            raise RetryLaterError(entry.busy_until - now)  # another worker is sending, or was killed while it did
        is_interrupted = entry is not None and entry.state is State.BEGUN
        if is_interrupted and not job.may_repeat:
            return await self._end(job, UncertainError("interrupted while sending"), is_uncertain=True)
        is_uncertain = entry is not None and (entry.uncertain or is_interrupted)
        if now >= job.expires:
            return await self._end(job, RefusedError("expired"), is_uncertain=is_uncertain)
        if now < job.not_before:
            raise RetryLaterError(min(job.not_before - now, LONGEST_WAIT_SECONDS))
        backoffs = entry.attempts if entry else tried
        return await self._attempt(job, entry, backoffs=backoffs, is_last=is_last, is_uncertain=is_uncertain)

    async def _attempt(
        self, job: Job, entry: Entry | None, *, backoffs: int, is_last: bool, is_uncertain: bool
    ) -> Entry:
        """Return how the contact ended after one more attempt; an earlier one may have been sent if it `is_uncertain`."""
        try:
            contact = await self._contact(job)
            if job.has_outcome:
                await self._consent(job)
            await self._send(job, contact, entry)
        except TryLaterError as error:
            return await self._later(job, error, entry, backoffs=backoffs, is_last=is_last, is_uncertain=is_uncertain)
        except UncertainError as error:
            if not job.may_repeat:
                return await self._end(job, error, is_uncertain=True)
            return await self._later(job, error, entry, backoffs=backoffs, is_last=is_last, is_uncertain=True)
        except RefusedError as error:
            if error.opted_out:
                # Asked again after a crash, the provider says the same again.
                await asyncio.to_thread(self._journal.wait, job.key, self._clock(), uncertain=False)
                await self._withdraw(job)
            return await self._end(job, error, is_uncertain=is_uncertain)
        return await self._finish(job, State.SENT, Outcome(outcome=INTERVENTION_OUTCOME_DELIVERED, was_sent=True))

    async def _contact(self, job: Job) -> Contact:
        address = ""
        if job.channel.needs_address:
            address = await self._addresses.find(job.lead_id, job.address)
            if not address:
                raise RefusedError(f"no {job.address} address")
        wording = self._templates.wording(job.playbook, job.facts) if job.channel.has_wording else SILENT
        return Contact(job.key, address, wording, job.playbook, job.facts)

    async def _send(self, job: Job, contact: Contact, seen: Entry | None) -> None:
        now = self._clock()
        busy_until = now + self._config.send_timeout_seconds + LEASE_MARGIN_SECONDS
        if not await asyncio.to_thread(self._journal.begin, job.key, seen, now, busy_until):
            raise RetryLaterError(self._config.send_timeout_seconds)  # another worker has just begun it
        try:
            async with asyncio.timeout(self._config.send_timeout_seconds):
                await job.channel.send(contact)
        except TimeoutError as error:
            raise UncertainError("no end in time") from error
        except DeliveryError:
            raise
        except Exception as error:  # whatever it is, it may have been sent
            log.exception("channel_failed", key=job.key, channel=job.name)
            raise UncertainError(f"fault of the channel: {type(error).__name__}") from error

    async def _later(
        self,
        job: Job,
        error: DeliveryError,
        entry: Entry | None,
        *,
        backoffs: int,
        is_last: bool,
        is_uncertain: bool,
    ) -> Entry:
        attempts = (entry.attempts if entry else 0) + 1
        if is_last or attempts >= self._config.max_attempts:
            gave_up = RefusedError(f"given up after {attempts} attempts, {error.detail}")
            return await self._end(job, gave_up, is_uncertain=is_uncertain)
        uncertain = isinstance(error, UncertainError)
        await asyncio.to_thread(self._journal.wait, job.key, self._clock(), uncertain=uncertain)
        CONTACTS.labels(job.name, "retried").inc()
        log.warning("contact_retried", key=job.key, channel=job.name, attempt=attempts, detail=error.detail)
        given = error.seconds if isinstance(error, TryLaterError) else None
        backoff = min(self._config.retry_seconds * 2.0**backoffs, LONGEST_BACKOFF_SECONDS)
        raise RetryLaterError(min(backoff if given is None else given, LONGEST_WAIT_SECONDS))

    async def _end(self, job: Job, error: DeliveryError, *, is_uncertain: bool) -> Entry:
        outcome = Outcome(outcome=INTERVENTION_OUTCOME_FAILED, detail=error.detail)
        if not is_uncertain:
            outcome.was_sent = False
        return await self._finish(job, State.UNKNOWN if is_uncertain else State.FAILED, outcome)

    async def _finish(self, job: Job, state: State, outcome: Outcome) -> Entry:
        outcome.intervention_id = job.key if job.has_outcome else ""
        outcome.outcome_id = f"{job.key}.{'delivered' if state is State.SENT else 'failed'}"
        data = outcome.SerializeToString(deterministic=True)
        entry = await asyncio.to_thread(
            self._journal.finish, job.key, state, data, self._clock(), reported=not job.has_outcome
        )
        CONTACTS.labels(job.name, state.value).inc()
        log.info("contact_ended", key=job.key, channel=job.name, state=state.value, detail=outcome.detail)
        return entry
