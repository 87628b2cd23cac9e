"""The part of LeadService that takes in what leads do."""

from collections.abc import AsyncIterator, Sequence

import structlog
from google.rpc.status_pb2 import Status
from keepwell.v1 import lead_pb2
from keepwell.v1 import lead_service_pb2 as messages

from server.caller import Caller
from server.convert.checks import check_batch
from server.convert.event import event_of
from server.errors import InvalidFieldsError
from server.event_types import EventTypes, Types
from server.logs import bound_correlation_id
from server.metrics import EVENTS
from server.road.job import EventInput, Outcome, Recorded
from server.road.road import Road
from server.rpc import Context, error_status
from server.services.streaming import answer_each

RECORD_EVENTS = 1_000
STREAM_IN_FLIGHT = 256
log = structlog.get_logger()


class EventIntake:
    """Takes in events, and says of each what became of it."""

    def __init__(self, road: Road, types: EventTypes) -> None:
        self._road = road
        self._types = types

    async def record_events(
        self, request: messages.RecordEventsRequest, caller: Caller
    ) -> messages.RecordEventsResponse:
        """Record some events; those that are refused do not harm the others."""
        check_batch(request.request_id, "events", len(request.events), RECORD_EVENTS)
        places, events, refused = _checked(request.events, self._types.of(caller.tenant))
        if refused and not events:
            raise InvalidFieldsError(*(violation for error in refused.values() for violation in error.violations))
        outcomes = await self._road.record(caller.tenant, caller.clock, events)
        _raise_fault(outcomes)
        answer = _answer(dict(zip(places, outcomes, strict=True)) | refused)
        log.info(
            "events_recorded", accepted=answer.accepted, duplicates=answer.duplicates, refused=len(answer.rejected)
        )
        return answer

    async def stream_events(self, events: AsyncIterator[lead_pb2.LeadEvent], caller: Caller, context: Context) -> None:
        """Record events as they come."""
        await answer_each(events, context, STREAM_IN_FLIGHT, lambda event: self._acks(event, caller))

    async def _acks(self, event: lead_pb2.LeadEvent, caller: Caller) -> list[messages.EventAck]:
        ack = messages.EventAck(event_id=event.event_id, lead_id=event.lead_id)
        try:
            checked = event_of("", event, self._types.of(caller.tenant))
            (outcome,) = await self._road.record(caller.tenant, caller.clock, [checked])
        except Exception as error:  # noqa: BLE001 (one event's fault is not the stream's)
            outcome = error
        EVENTS.labels(_result(outcome)).inc()
        if isinstance(outcome, Recorded):
            ack.duplicate = outcome.duplicate
        else:
            ack.error.CopyFrom(_status(outcome))
        return [ack]


def _checked(
    events: Sequence[lead_pb2.LeadEvent], types: Types
) -> tuple[list[int], list[EventInput], dict[int, InvalidFieldsError]]:
    """Return the events that are well formed with their places, and what is wrong with the others."""
    places, good, refused = [], [], {}
    for place, event in enumerate(events):
        try:
            good.append(event_of(f"events[{place}].", event, types))
            places.append(place)
        except InvalidFieldsError as error:
            refused[place] = error
    return places, good, refused


def _answer(outcomes: dict[int, Outcome]) -> messages.RecordEventsResponse:
    answer = messages.RecordEventsResponse()
    for place, outcome in sorted(outcomes.items()):
        EVENTS.labels(_result(outcome)).inc()
        if isinstance(outcome, Recorded):
            answer.duplicates += outcome.duplicate
            answer.accepted += not outcome.duplicate
        else:
            answer.rejected.append(lead_pb2.RejectedItem(index=place, status=_status(outcome)))
    return answer


def _raise_fault(outcomes: Sequence[Outcome]) -> None:
    """Raise what went wrong on our side: the call failed, and can be sent again as it is."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, InvalidFieldsError):
            raise outcome


def _result(outcome: Outcome) -> str:
    if not isinstance(outcome, Recorded):
        return "refused"
    return "duplicate" if outcome.duplicate else "accepted"


def _status(outcome: Outcome) -> Status:
    error = outcome if isinstance(outcome, Exception) else TypeError(outcome)
    return error_status(error, bound_correlation_id(), item="event")
