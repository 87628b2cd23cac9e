"""What a lead has said about a channel since the decision to contact it was made."""

from keepwell.v1.decision_pb2 import InterventionChannel
from keepwell.v1.lead_pb2 import CONSENT_STATE_WITHDRAWN
from keepwell.v1.lead_service_pb2 import GetLeadRequest
from keepwell_client import AsyncClient, KeepwellError

from keepwell_delivery.job import Job
from keepwell_delivery.receipt import RefusedError, TryLaterError


def channel_of(job: Job) -> InterventionChannel.ValueType:
    """Return the channel of a contact as the contract numbers it."""
    return InterventionChannel.Value(f"INTERVENTION_CHANNEL_{job.facts['channel'].upper()}")


class Consent:
    """Asks the service right before a contact: up to an hour may have passed since its decision."""

    def __init__(self, keepwell: AsyncClient) -> None:
        self._keepwell = keepwell

    async def check(self, job: Job) -> None:
        """Return when nothing that the lead has said forbids a contact.

        Raises:
            RefusedError: The lead has withdrawn its consent.
            TryLaterError: The service cannot be asked.

        """
        try:
            view = await self._keepwell.call(self._keepwell.leads.GetLead, GetLeadRequest(lead_id=job.lead_id))
        except KeepwellError as error:
            raise TryLaterError(f"consent: {error.code}") from error
        channel = channel_of(job)
        if any(said.channel == channel and said.state == CONSENT_STATE_WITHDRAWN for said in view.consent):
            raise RefusedError("consent withdrawn")
