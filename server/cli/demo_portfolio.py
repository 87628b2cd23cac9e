"""The demo's callers: they introduce simulated leads to the service and ask for decisions, day after day."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import grpc
import numpy as np
from keepwell.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    lead_pb2,
    lead_service_pb2,
    lead_service_pb2_grpc,
)

from model.features import CATEGORIES, NUMERIC, FloatArray
from model.simulator import SEGMENTS, ZONES, Portfolio, simulate
from model.snapshot import categories_of, features_at

FIRST_DAY = 120
FIRST_NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)  # a Monday, noon in New York
MESSAGE_LEADS = 250
CONSENTING = 0.6


def id_of(lead: int) -> str:
    """Return a lead's id."""
    return f"lead-{lead:05}"


def profile_of(world: Portfolio, lead: int) -> lead_pb2.LeadProfile:
    """Return what is known of a lead from the start."""
    zone, country, region = ZONES[world.zone[lead]]
    return lead_pb2.LeadProfile(
        lead_id=id_of(lead),
        time_zone=zone,
        country=country,
        region=region,
        value=float(world.value[lead]),
        currency="USD",
        owner=f"agent-{lead % 12}",
        segment=SEGMENTS[world.segment[lead]],
    )


class DemoPortfolio:
    """Simulated leads behind a channel."""

    def __init__(self, channel: grpc.Channel, leads: int, days: int, seed: int) -> None:
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        self._world = simulate(leads, FIRST_DAY + days, seed)
        self._categories = categories_of(self._world)
        self._draw = np.random.default_rng(seed)
        self.leads = leads
        self.days = days
        self.day = 0
        self.decided = 0
        self.refused = 0
        self.latencies_ms: list[float] = []
        self.zones = {id_of(lead): ZONES[place][0] for lead, place in enumerate(self._world.zone)}

    def _now(self) -> tuple[tuple[str, str], ...]:
        now = FIRST_NOON + timedelta(days=self.day)
        return (("x-keepwell-now", now.isoformat()),)

    def introduce(self) -> None:
        """Write every lead's profile, and the consent that some gave to calls and texts."""
        profiles = [profile_of(self._world, lead) for lead in range(self.leads)]
        for first in range(0, self.leads, MESSAGE_LEADS):
            request = lead_service_pb2.UpsertLeadsRequest(leads=profiles[first : first + MESSAGE_LEADS])
            self._leads.UpsertLeads(request, metadata=self._now())
        for lead in np.flatnonzero(self._draw.random(self.leads) < CONSENTING):
            for channel in (decision_pb2.INTERVENTION_CHANNEL_PHONE, decision_pb2.INTERVENTION_CHANNEL_SMS):
                request_ = lead_service_pb2.SetConsentRequest(
                    lead_id=id_of(int(lead)), channel=channel, state=lead_pb2.CONSENT_STATE_GRANTED, source="sign-up"
                )
                self._leads.SetConsent(request_, metadata=self._now())

    def play(self) -> Iterator[None]:
        """Ask about every lead once a day, in messages of many; yield after each message."""
        for day in range(self.days):
            self.day = day
            features = features_at(self._world, FIRST_DAY + self.day)
            for first in range(0, self.leads, MESSAGE_LEADS):
                last = min(first + MESSAGE_LEADS, self.leads)
                self._ask([self._request(lead, features[lead]) for lead in range(first, last)])
                yield
            self._ask_alone(features)

    def _request(self, lead: int, row: FloatArray) -> decision_service_pb2.DecideRequest:
        known = {feature.name: value for feature, value in zip(NUMERIC, row.tolist(), strict=True) if value == value}  # noqa: PLR0124 (NaN)
        categories = {feature.name: value for feature, value in zip(CATEGORIES, self._categories[lead], strict=True)}
        return decision_service_pb2.DecideRequest(
            request_id=f"day-{self.day}-{id_of(lead)}",
            lead_id=id_of(lead),
            features=decision_pb2.Features(numbers=known, categories=categories),
        )

    def _ask(self, requests: list[decision_service_pb2.DecideRequest]) -> None:
        message = decision_service_pb2.DecideStreamRequest(requests=requests)
        for answer in self._decisions.DecideStream(iter([message]), metadata=self._now()):
            refused = sum(result.HasField("error") for result in answer.results)
            self.refused += refused
            self.decided += len(answer.results) - refused

    def _ask_alone(self, features: FloatArray) -> None:
        """Ask about some leads one at a time, again under the same request ids: a caller's retry, and its latency."""
        for lead in range(0, self.leads, max(self.leads // 20, 1)):
            started = time.perf_counter()
            response = self._decisions.Decide(self._request(lead, features[lead]), metadata=self._now())
            self.latencies_ms.append((time.perf_counter() - started) * 1_000)
            self.refused += not response.replayed

    def verify(self, decision_ids: list[str]) -> tuple[int, int]:
        """Return how many of these decisions come out the same when they are made again, and how many were tried."""
        matching = sum(
            self._decisions.VerifyDecision(
                decision_service_pb2.VerifyDecisionRequest(decision_id=decision_id), metadata=self._now()
            ).match
            for decision_id in decision_ids
        )
        return matching, len(decision_ids)
