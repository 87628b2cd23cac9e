"""EscalationService: hand-overs to people, until they are closed."""

from collections.abc import Mapping, Sequence

import structlog
from keepwell.v1 import decision_pb2
from keepwell.v1 import escalation_service_pb2 as messages

from rules.vocabulary import EscalationState
from server.caller import Caller
from server.convert.checks import Checker
from server.convert.escalation import (
    Mutation,
    check_mutation,
    escalation_message,
    page_token,
    place_of_token,
    step_of,
)
from server.errors import EscalationNotFoundError
from server.metrics import ESCALATION_STEPS
from server.road.job import Amended
from server.road.road import Road
from server.rpc import Handler
from server.services.escalation_watch import EscalationWatch
from server.services.store_errors import store_errors
from server.store.connection import Store
from server.store.escalation_record import decode_escalation
from server.store.escalations import Entry, read_entries, read_escalation, read_places
from server.store.keys import PARTITIONS, Partition

PAGE_SIZE, LARGEST_PAGE = 50, 500
SCANNED_AT_ONCE, SCANS = 500, 8  # a filter that lets little through ends a page early, not the server
STATES = frozenset(map(int, EscalationState))
OPEN_STATES = frozenset({EscalationState.OPEN, EscalationState.ACKNOWLEDGED})
log = structlog.get_logger()


class EscalationService:
    """Shows and changes escalations; every change is made on the lead's record, down the road."""

    def __init__(self, road: Road, client: Store, watch: EscalationWatch) -> None:
        self._road = road
        self._client = client
        self._watch = watch

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {
            "ListEscalations": self.list_escalations,
            "GetEscalation": self.get_escalation,
            "AcknowledgeEscalation": self.change,
            "ResolveEscalation": self.change,
            "ReassignEscalation": self.change,
            "WatchEscalations": self._watch.watch_escalations,
        }

    async def get_escalation(self, request: messages.GetEscalationRequest, caller: Caller) -> decision_pb2.Escalation:
        """Look up one escalation."""
        check = Checker()
        check.identifier("escalation_id", request.escalation_id)
        check.raise_if_any()
        entry = await self._entry(caller.tenant, request.escalation_id)
        return escalation_message(entry.case, entry.lead_id)

    async def change(self, request: Mutation, caller: Caller) -> decision_pb2.Escalation:
        """Acknowledge, resolve or reassign an escalation."""
        step = check_mutation(request)
        entry = await self._entry(caller.tenant, request.escalation_id)
        pairs = [(entry.lead_id, step_of(request, step, entry.lead_id))]
        (outcome,) = await self._road.amend(caller.tenant, caller.clock, pairs)
        if not isinstance(outcome, Amended):
            raise outcome if isinstance(outcome, Exception) else TypeError(outcome)
        case, lead_id = decode_escalation(outcome.answer)
        kind = type(request).__name__.removesuffix("EscalationRequest").lower()
        if not outcome.replayed:
            ESCALATION_STEPS.labels(kind).inc()
        log.info("escalation_changed", step=kind, escalation_id=case.escalation_id, replayed=outcome.replayed)
        return escalation_message(case, lead_id)

    async def _entry(self, tenant: str, escalation_id: str) -> Entry:
        with store_errors():
            entry = await read_escalation(self._client, _partitions(tenant), escalation_id)
        if entry is None:
            raise EscalationNotFoundError("there is no escalation with this id")
        return entry

    async def list_escalations(
        self, request: messages.ListEscalationsRequest, caller: Caller
    ) -> messages.ListEscalationsResponse:
        """List the tenant's escalations, newest first."""
        _check_list(request)
        before = place_of_token(request.page_token)
        size = request.page_size or PAGE_SIZE
        found: list[Entry] = []
        with store_errors():
            for _ in range(SCANS):
                looked_at, before = await self._scan(request, caller.tenant, before)
                found += [entry for entry in looked_at if _passes(request, entry)]
                if len(found) > size:
                    before = found[size - 1].place
                if len(found) >= size or not before:
                    break
        return messages.ListEscalationsResponse(
            escalations=[escalation_message(entry.case, entry.lead_id) for entry in found[:size]],
            next_page_token=page_token(before),
        )

    async def _scan(
        self, request: messages.ListEscalationsRequest, tenant: str, before: str
    ) -> tuple[Sequence[Entry], str]:
        """Return the next escalations before a place, and the place to go on from ("": none is left)."""
        partitions = _partitions(tenant)
        only_open = bool(request.states) and OPEN_STATES.issuperset(request.states)
        places = await read_places(self._client, partitions, before, SCANNED_AT_ONCE, only_open=only_open)
        following = places[-1] if len(places) == SCANNED_AT_ONCE else ""
        return await read_entries(self._client, partitions, places), following


def _partitions(tenant: str) -> list[Partition]:
    return [Partition(tenant, number) for number in range(PARTITIONS)]


def _check_list(request: messages.ListEscalationsRequest) -> None:
    check = Checker()
    for place, state in enumerate(request.states):
        if int(state) not in STATES:
            check.note(f"states[{place}]", f"must be one of {', '.join(decision_pb2.EscalationState.keys()[1:])}")
    if not 0 <= request.page_size <= LARGEST_PAGE:
        check.note("page_size", f"must be 0 to {LARGEST_PAGE}")
    if request.lead_id:
        check.identifier("lead_id", request.lead_id)
    check.raise_if_any()


def _passes(request: messages.ListEscalationsRequest, entry: Entry) -> bool:
    return (
        (not request.states or int(entry.case.state) in set(map(int, request.states)))
        and request.lead_id in ("", entry.lead_id)
        and request.target in ("", entry.case.target)
    )
