"""An event, checked, as the road takes it."""

from keepwell.v1 import lead_pb2

from model.events import EventType, event_type, event_type_names
from model.features import LARGEST
from rules.vocabulary import Channel
from server.convert.checks import Checker, instant_of
from server.convert.request import CHANNEL_NAMES
from server.road.job import EventInput

MAX_PROPERTIES, LONGEST_NAME, LONGEST_TEXT = 32, 64, 256


def event_of(path: str, event: lead_pb2.LeadEvent) -> EventInput:
    """Return what the road takes; raises InvalidFieldsError with every bad field, by its path (`path` ends with a dot or is empty)."""
    check = Checker()
    check.identifier(f"{path}event_id", event.event_id)
    check.identifier(f"{path}lead_id", event.lead_id)
    kind = event_type(event.type)
    if kind is None:
        check.note(f"{path}type", f"must be one of {event_type_names()}")
    else:
        _check_value(check, path, kind, event)
    if not event.HasField("occur_time"):
        check.note(f"{path}occur_time", "must be set")
    _check_properties(check, path, event)
    check.raise_if_any()
    if kind is None:
        raise ValueError(event.type)
    optouts = _optouts(event) if kind.withdraws_consent else ()
    payload = event.SerializeToString(deterministic=True)
    occurred_at = instant_of(event.occur_time)
    return EventInput(event.lead_id, event.event_id, kind, occurred_at, event.value, optouts, payload, path)


def _check_value(check: Checker, path: str, kind: EventType, event: lead_pb2.LeadEvent) -> None:
    if not kind.amount:
        if event.HasField("value"):
            check.note(f"{path}value", f"must be absent: {kind.name} carries no amount")
    elif not event.HasField("value"):
        check.note(f"{path}value", f"must be set: the amount of the {kind.name}")
    else:
        check.amount(f"{path}value", event.value)
        if event.value > LARGEST:
            check.note(f"{path}value", f"must be at most {LARGEST:g}")


def _check_properties(check: Checker, path: str, event: lead_pb2.LeadEvent) -> None:
    if len(event.properties) > MAX_PROPERTIES:
        check.note(f"{path}properties", f"must be at most {MAX_PROPERTIES}")
    for name, value in event.properties.items():
        if not 1 <= len(name) <= LONGEST_NAME:
            check.note(f"{path}properties", f"must be named by 1 to {LONGEST_NAME} characters")
        check.text(f'{path}properties["{name[:LONGEST_NAME]}"]', value, LONGEST_TEXT)
    if event.type == "opt_out" and event.properties.get("channel", "email") not in CHANNEL_NAMES:
        check.note(f'{path}properties["channel"]', f"must be one of {', '.join(CHANNEL_NAMES)}")


def _optouts(event: lead_pb2.LeadEvent) -> tuple[Channel, ...]:
    channel = event.properties.get("channel")
    return (Channel[channel.upper()],) if channel else tuple(Channel)
