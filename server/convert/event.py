"""An event, checked, as the road takes it."""

from collections.abc import Mapping

from keepwell.v1 import lead_pb2

from model.event_properties import property_fault
from model.events import LONGEST_TEXT, MAX_PROPERTIES, EventType
from model.features import LARGEST
from rules.vocabulary import Channel
from server.convert.checks import Checker
from server.convert.request import CHANNEL_NAMES
from server.road.job import EventInput

LONGEST_NAME = 64


def event_of(path: str, event: lead_pb2.LeadEvent, types: Mapping[str, EventType]) -> EventInput:
    """Return what the road takes; raises InvalidFieldsError with every bad field, by its path (`path` ends with a dot or is empty)."""
    check = Checker()
    check.identifier(f"{path}event_id", event.event_id)
    check.identifier(f"{path}lead_id", event.lead_id)
    kind = types.get(event.type)
    if kind is None:
        check.note(f"{path}type", f"must be one of {', '.join(types)}")
    else:
        _check_value(check, path, kind, event)
        _check_declared(check, path, kind, event)
    occurred_at = check.instant(f"{path}occur_time", event.occur_time)
    if not event.HasField("occur_time"):
        check.note(f"{path}occur_time", "must be set")
    _check_properties(check, path, event)
    check.raise_if_any()
    if kind is None:
        raise ValueError(event.type)
    optouts = _optouts(event) if kind.withdraws_consent else ()
    payload = event.SerializeToString(deterministic=True)
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


def _check_declared(check: Checker, path: str, kind: EventType, event: lead_pb2.LeadEvent) -> None:
    """Check the properties against what a type declares of them; everybody's types declare nothing."""
    if kind.properties is None:
        return
    for name, value in event.properties.items():
        declared = kind.properties.get(name)
        where = f'{path}properties["{name[:LONGEST_NAME]}"]'
        if declared is None:
            names = ", ".join(kind.properties) or "nothing"
            check.note(where, f"must be absent: the properties of {kind.name} are {names}")
        elif fault := property_fault(declared, value):
            check.note(where, fault)
    for name, declared in kind.properties.items():
        if declared.required and name not in event.properties:
            check.note(f'{path}properties["{name}"]', f"must be set: {kind.name} has it always")


def _optouts(event: lead_pb2.LeadEvent) -> tuple[Channel, ...]:
    channel = event.properties.get("channel")
    return (Channel[channel.upper()],) if channel else tuple(Channel)
