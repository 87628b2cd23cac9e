"""The decision that an event asks for: the same for the same event, another one for another."""

from msgspec.structs import replace

from model.events import EVENT_TYPES
from server.road.job import EventInput
from server.road.recording import event_request

VISIT = EventInput("lead", "visit-1", EVENT_TYPES[0], 1_772_366_400_000, 0.0, (), b"")


def test_an_event_asks_for_one_decision_however_often_it_is_sent() -> None:
    first = event_request("t", VISIT)
    assert event_request("t", replace(VISIT, payload=b"sent again")) == first
    assert first.decision_id == event_request("t", VISIT).decision_id


def test_another_tenant_lead_id_or_time_asks_for_another_decision() -> None:
    others = [
        event_request("u", VISIT),
        event_request("t", replace(VISIT, lead_id="other")),
        event_request("t", replace(VISIT, event_id="visit-2")),
        # An id that comes again once it is forgotten, a month later.
        event_request("t", replace(VISIT, occurred_at=VISIT.occurred_at + 1)),
    ]
    assert len({each.decision_id for each in (event_request("t", VISIT), *others)}) == 5
