"""A worker's parts between a server and providers, as one tenant has them."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from keepwell.v1.decision_pb2 import Decision, Escalation
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.feed_service_pb2 import Delivery
from keepwell.v1.lead_pb2 import LeadProfile
from keepwell.v1.lead_service_pb2 import GetLeadRequest
from keepwell.v1.outcome_service_pb2 import Outcome
from keepwell_client import AsyncClient, Client, RetryLaterError
from keepwell_delivery.config import Config
from keepwell_delivery.deliverer import Deliverer
from keepwell_delivery.journal import Entry, Journal
from keepwell_delivery.worker import deliverer

EARLY, ACTIVE, CRITICAL = 0.5, 0.7, 0.9
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONTACTS = {
    "email": "ada@example.com",
    "sms": "+15005550006",
    "phone": "+15005550007",
    "push": "device-token",
    "in_app": "user-7",
    "crm_workflow": "contact/7",
    "agent_assignment": "contact/7",
}
TEMPLATES = {
    "letter.subject": "About {{ lead_id }}",
    "letter.text": "You are {{ '%.0f' % (100 * churn_probability) }} % gone ({{ stage }}).",
    "text.text": "Hello {{ lead_id }}",
    "call.text": "Call before {{ expire_time }}",
    "alert.subject": "News",
    "alert.text": "Look",
    "banner.text": "Look here",
    "visit.subject": "Visit {{ lead_id }}",
    "visit.text": "Soon",
    "escalation.subject": "{{ lead_id }} needs the {{ target }}",
    "escalation.text": "{{ reason }}: {{ recommendations | join(', ') }}",
}


class Desk:
    """One tenant's deliveries, in a folder of their own."""

    def __init__(self, address: str, tenant: str, folder: Path) -> None:
        self.address = address
        self.tenant = tenant
        self.folder = folder
        self.settings: dict[str, Any] = {
            "addresses": {"kind": "profile"},
            "channels": {},
            "timeout_seconds": 5,
            "send_timeout_seconds": 10,
        }
        self.now: float | None = None
        (folder / "templates").mkdir()
        for name, text in TEMPLATES.items():
            (folder / "templates" / name).write_text(text)

    def channel(self, name: str, **settings: Any) -> None:
        self.settings["channels"][name] = settings

    def decide(self, lead_id: str = "lead", probability: float = EARLY, **contacts: str) -> Decision:
        """Return a decision about a lead with these addresses, by default one of each kind."""
        profile = LeadProfile(time_zone="UTC", contacts=contacts or CONTACTS)
        request = DecideRequest(lead_id=lead_id, churn_probability=probability, profile=profile)
        with Client(self.address, self.tenant) as client:
            return client.decide(request).decision

    def only(self, channel: int, probability: float = ACTIVE) -> Decision:
        """Return a decision that grants only this one of its channels."""
        decision = self.decide(probability=probability)
        granted = next(action for action in decision.interventions if action.channel == channel)
        del decision.interventions[:]
        decision.interventions.append(granted)
        return decision

    def deliver(self, decision: Decision, attempt: int = 1) -> float | None:
        """Handle a delivery; return after how many seconds it is to come again, None when it is done."""
        return self._with(lambda parts: parts.handle(Delivery(delivery_id="d", attempt=attempt, decision=decision)))

    def notify(self, escalation: Escalation) -> float | None:
        """Tell an escalation's target; return as `deliver` does."""
        return self._with(lambda parts: parts.notify(escalation))

    def _with(self, act: Callable[[Deliverer], Awaitable[None]]) -> float | None:
        async def run() -> float | None:
            config = Config.model_validate(self.settings, context=self.folder)
            now = self.now
            clock = time.time if now is None else lambda: now
            async with AsyncClient(self.address, self.tenant) as client, deliverer(config, client, clock) as delivering:
                try:
                    await act(delivering)
                except RetryLaterError as error:
                    return error.seconds
                return None

        return asyncio.run(run())

    def entry(self, key: str) -> Entry:
        """Return a contact's row in the journal."""
        journal = Journal(self.folder / "delivery.sqlite3")
        found = journal.entry(key)
        journal.close()
        assert found
        return found

    def ended(self, decision: Decision) -> tuple[str, str, bool | None]:
        """Return state, detail and was_sent of a decision's only contact, which the service knows."""
        entry = self.entry(decision.interventions[0].intervention_id)
        outcome = Outcome.FromString(entry.outcome)
        assert entry.reported
        return entry.state.value, outcome.detail, outcome.was_sent if outcome.HasField("was_sent") else None

    def used(self, limit: str, lead_id: str = "lead") -> int:
        """Return how many contacts count in a limit of the lead's, as the service says."""
        with Client(self.address, self.tenant) as client:
            view = client.call(client.leads.GetLead, GetLeadRequest(lead_id=lead_id))
        return next(row.used for row in view.headroom if row.limit_name == limit)

    def file(self) -> Path:
        """Return the settings as a file, for a worker of its own."""
        path = self.folder / "delivery.yaml"
        path.write_text(json.dumps(self.settings))  # JSON is YAML
        return path
