"""The demo's leads: what they do is recorded day by day, and nobody ever asks for a decision."""

from collections.abc import Iterator
from datetime import UTC, timedelta

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp
from keepwell.v1.decision_pb2 import INTERVENTION_CHANNEL_PHONE, INTERVENTION_CHANNEL_SMS
from keepwell.v1.lead_pb2 import CONSENT_STATE_GRANTED, LeadEvent
from keepwell.v1.lead_service_pb2 import GetLeadRequest, SetConsentRequest
from keepwell_client import Client

from model.simulator import simulate
from model.snapshot import AMOUNT, CLICKS, INQUIRIES, OPENS, PURCHASES, QUARTERS, VIEWS
from server.cli.delivery_demo.clock import FIRST_NOON, DemoClock
from server.cli.delivery_demo.mailbox import UNKNOWN_PERSON
from server.cli.demo_portfolio import CONSENTING, id_of, profile_of

HISTORY_DAYS = 28  # recorded at the start; the service takes events that are up to 30 days late
FIRST_DAY = 120
MESSAGE = 1_000
TYPES = {
    VIEWS: "property_view",
    OPENS: "email_open",
    CLICKS: "email_click",
    INQUIRIES: "inquiry",
    PURCHASES: "purchase",
}
MOVED_AWAY_EVERY = 12


class QuietPortfolio:
    """Simulated leads, some of whom go quiet; one in twelve cannot be mailed any more.

    Args:
        client: The service.
        clock: The demo's.
        leads: How many.
        days: For how many days at most their events are known.
        seed: The same seed gives the same leads.

    """

    def __init__(self, client: Client, clock: DemoClock, leads: int, days: int, seed: int) -> None:
        self._client = client
        self._clock = clock
        self._world = simulate(leads, FIRST_DAY + days, seed)
        self._draw = np.random.default_rng(seed)
        self.profiles = [profile_of(self._world, lead) for lead in range(leads)]
        self.leads = leads
        self.events = 0
        self._unreviewed: list[int] = []

    def introduce(self) -> None:
        """Write every lead's profile with its addresses, the consent that some gave, and what they did in the last weeks."""
        for lead, profile in enumerate(self.profiles):
            left = UNKNOWN_PERSON if lead % MOVED_AWAY_EVERY == 0 else ""
            for kind in ("sms", "phone"):
                profile.contacts[kind] = f"+1212555{lead:04}"
            profile.contacts["email"] = f"{left}{profile.lead_id}@example.com"
            profile.contacts["in_app"] = profile.lead_id
        for first in range(0, self.leads, MESSAGE):
            self._client.upsert_leads(self.profiles[first : first + MESSAGE])
        for consenting in np.flatnonzero(self._draw.random(self.leads) < CONSENTING):
            for channel in (INTERVENTION_CHANNEL_PHONE, INTERVENTION_CHANNEL_SMS):
                self._client.set_consent(
                    SetConsentRequest(
                        lead_id=id_of(int(consenting)), channel=channel, state=CONSENT_STATE_GRANTED, source="sign-up"
                    )
                )
        for day in range(-HISTORY_DAYS, 1):
            self.record(day)

    def record(self, day: int) -> None:
        """Record what happened in the 24 hours before a day's noon; nothing when it was recorded before."""
        events = [event for lead in range(self.leads) for event in self._events(lead, day)]
        for first in range(0, len(events), MESSAGE):
            self.events += self._client.record_events(events[first : first + MESSAGE]).accepted
        self._unreviewed = list(range(self.leads))

    def _events(self, lead: int, day: int) -> Iterator[LeadEvent]:
        counts = self._world.days[lead, FIRST_DAY + day]
        if not counts[QUARTERS]:
            return
        hours = 6 * int(np.log2(counts[QUARTERS])) + 1
        at = Timestamp()
        at.FromDatetime(FIRST_NOON.replace(hour=0) + timedelta(days=day - 1, hours=hours))
        for column, kind in TYPES.items():
            for number in range(int(counts[column])):
                event = LeadEvent(
                    event_id=f"{id_of(lead)}.{day}.{kind}.{number}", lead_id=id_of(lead), type=kind, occur_time=at
                )
                if kind == "purchase":
                    event.value = float(counts[AMOUNT])
                yield event

    def is_reviewed(self) -> bool:
        """Return whether the service has looked at every lead for which something was due since the last record."""
        while self._unreviewed and not self._is_due(self._unreviewed[-1]):
            self._unreviewed.pop()
        return not self._unreviewed

    def _is_due(self, lead: int) -> bool:
        view = self._client.call(self._client.leads.GetLead, GetLeadRequest(lead_id=id_of(lead)))
        # A lead that nothing is known of has no review to wait for.
        return view.HasField("next_review_time") and view.next_review_time.ToDatetime(tzinfo=UTC) <= self._clock.now()
