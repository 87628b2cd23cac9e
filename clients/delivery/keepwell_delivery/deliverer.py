"""Carries out one decision after the other: its contacts, the notice of its escalation, and the report of what became of them."""

from collections.abc import Iterator, Mapping

from keepwell.v1.decision_pb2 import Decision, Escalation
from keepwell.v1.feed_service_pb2 import Delivery
from keepwell_client import RetryLaterError

from keepwell_delivery.contact import Channel
from keepwell_delivery.facts import CHANNELS
from keepwell_delivery.job import Job, intervention_job, notice_job
from keepwell_delivery.metrics import SKIPPED
from keepwell_delivery.once import Once
from keepwell_delivery.reporting import Reporter

MAX_ATTEMPTS = 100  # as many as a subscription can have; contacts are given up earlier, and never become dead letters


class Deliverer:
    """Handles deliveries: returning means done, and RetryLaterError that a part has to come again.

    Args:
        channels: By channel name, with the name of the address that each uses. A channel that is not here is left to other workers.
        notices: By an escalation's target.
        once: Makes contacts.
        reporter: Reports them.

    """

    def __init__(
        self,
        channels: Mapping[str, tuple[Channel, str]],
        notices: Mapping[str, Channel],
        once: Once,
        reporter: Reporter,
    ) -> None:
        self._channels = channels
        self._notices = notices
        self._once = once
        self._reporter = reporter

    async def handle(self, delivery: Delivery) -> None:
        """Carry out a decision; what was carried out before is left as it is.

        Raises:
            RetryLaterError: After the earliest of what has to wait.

        """
        waits: list[float] = []
        outcomes: dict[str, bytes] = {}
        for job in self._jobs(delivery.decision):
            try:
                tried, is_last = delivery.attempt - 1, delivery.attempt >= MAX_ATTEMPTS
                entry = await self._once.carry_out(job, tried=tried, is_last=is_last)
            except RetryLaterError as error:
                waits.append(error.seconds)
                continue
            if not entry.reported:
                outcomes[job.key] = entry.outcome
        await self._reporter.report(outcomes)
        if waits:
            raise RetryLaterError(min(waits))

    async def notify(self, escalation: Escalation) -> None:
        """Tell an escalation's target; nothing when it was told before, or nobody is configured for it."""
        for job in self._notice(escalation):
            await self._once.carry_out(job, is_last=False)

    def _jobs(self, decision: Decision) -> Iterator[Job]:
        for action in decision.interventions:
            name = CHANNELS.get(action.channel, "")
            if name in self._channels:
                channel, address = self._channels[name]
                yield intervention_job(decision, action, name, channel, address)
            else:
                SKIPPED.labels(name).inc()
        if decision.HasField("escalation"):
            escalation = Escalation()
            escalation.CopyFrom(decision.escalation)
            escalation.lead_id, escalation.stage = decision.lead_id, decision.assessment.stage
            yield from self._notice(escalation)

    def _notice(self, escalation: Escalation) -> Iterator[Job]:
        channel = self._notices.get(escalation.target)
        if channel:
            yield notice_job(escalation, channel)
        else:
            SKIPPED.labels("escalation").inc()
