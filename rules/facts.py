"""The facts that rules look at: what each means, and its value for one lead at one instant.

A policy's own rules may name the published ones. All others are made for the compiler's rules: counts in windows, flags for hours, consent.
A fact that is unknown has a companion `<fact>.known`, which is false then; the compiler asks for it wherever it matters.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum

from rules.compiled import FactValue
from rules.decision import Situation
from rules.moment import Moment
from rules.vocabulary import BY_CALLER, Channel, ConsentState
from rules.zones import DAY_MS, offset_ms

HOUR_MS = 3_600_000
MAX_FEATURE_AGE_DAYS = 30
ATTRIBUTE = "lead.attributes."
KNOWN = ".known"
CONSENT = "consent."


class FactType(StrEnum):
    """What a fact can be compared with."""

    NUMBER = "number"
    TEXT = "text"
    STAGE = "stage"
    ANY = "boolean, number or text"


PUBLISHED_FACTS: Mapping[str, FactType] = {
    "churn_probability": FactType.NUMBER,
    "stage": FactType.STAGE,
    "lead.value": FactType.NUMBER,
    "lead.country": FactType.TEXT,
    "lead.region": FactType.TEXT,
    "lead.segment": FactType.TEXT,
    "lead.currency": FactType.TEXT,
    "lead.owner": FactType.TEXT,
    "local.hour": FactType.NUMBER,
    "local.weekday": FactType.NUMBER,
    "contacts.last_24h": FactType.NUMBER,
    "contacts.last_7d": FactType.NUMBER,
    "assessment.source": FactType.TEXT,
}
ALWAYS_KNOWN = frozenset({"churn_probability", "stage", "contacts.last_24h", "contacts.last_7d", "assessment.source"})


FactFunction = Callable[[Situation, Moment], FactValue]  # a lead, and the moment at which it is looked at


def _below_ms(lead: Situation, moment: Moment) -> int:
    since = lead.state.below_stage_since
    return 0 if since is None else moment.now - since


def _since_escalation(lead: Situation, moment: Moment) -> int:
    at = lead.state.last_escalated_at
    return 2**53 if at is None else moment.now - at


def _share_left(lead: Situation, _: Moment) -> int:
    reading = lead.ceilings.get("escalation_share")
    return 1 if reading is None else reading.maximum - reading.used


def _stale(lead: Situation, moment: Moment) -> bool:
    assessment = lead.assessment
    if assessment.source is BY_CALLER:
        return False
    as_of = assessment.features_as_of
    return as_of is None or moment.now - as_of > MAX_FEATURE_AGE_DAYS * DAY_MS


def _local(moment: Moment) -> int:
    return moment.now + offset_ms(moment.zones[0], moment.now) if moment.zones else 0


def _recent(length_ms: int) -> FactFunction:
    return lambda lead, moment: sum(1 for contact in lead.state.contacts if contact.at > moment.now - length_ms)


def _profile(field: str) -> FactFunction:
    return lambda lead, _: getattr(lead.profile, field)


def _profile_known(field: str) -> FactFunction:
    return lambda lead, _: bool(getattr(lead.profile, field))


# Facts of the clock, of a lead's past and of contacts: their cells are remembered by what they follow from (cells.py).
CLOCK_FACTS = frozenset({"zone.known", "local.hour", "local.hour.known", "local.weekday", "local.weekday.known"})
CEILING_FACTS = frozenset({"escalation_share.left"})  # besides those of tenant-wide limits
HISTORY_FACTS = frozenset({"previous.stage", "below_stage_ms", "escalated_before_ms"})
CONTACT_FACTS: Mapping[str, int] = {"contacts.last_24h": DAY_MS, "contacts.last_7d": 7 * DAY_MS}  # and how far back

FUNCTIONS: dict[str, FactFunction] = {
    "churn_probability": lambda lead, _: lead.assessment.churn_probability,
    "previous.stage": lambda lead, _: int(lead.state.stage),
    "below_stage_ms": _below_ms,
    "escalated_before_ms": _since_escalation,
    "escalation_share.left": _share_left,
    "features.stale": _stale,
    "zone.known": lambda _, moment: bool(moment.zones),
    "lead.value": lambda lead, _: lead.profile.value or 0.0,
    "lead.value.known": lambda lead, _: lead.profile.value is not None,
    "local.hour": lambda _, moment: _local(moment) // HOUR_MS % 24,
    "local.hour.known": lambda _, moment: len(moment.zones) == 1,
    "local.weekday": lambda _, moment: (_local(moment) // DAY_MS + 3) % 7,
    "local.weekday.known": lambda _, moment: len(moment.zones) == 1,
    "assessment.source": lambda lead, _: lead.assessment.source.name.lower(),
}
FUNCTIONS.update({name: _recent(length_ms) for name, length_ms in CONTACT_FACTS.items()})
for _field in ("country", "region", "segment", "currency", "owner"):
    FUNCTIONS[f"lead.{_field}"] = _profile(_field)
    FUNCTIONS[f"lead.{_field}.known"] = _profile_known(_field)


def clock_of(_: Situation, moment: Moment) -> Hashable:
    """Return what blocked hours and local times follow from; zones and hours begin on whole minutes."""
    return moment.minute


def consents_of(lead: Situation, _: Moment) -> Hashable:
    """Return what the facts of consent follow from; of most leads, nothing."""
    consent = lead.state.consent
    if not consent:
        return ()
    return tuple([(channel, said.state) for channel, said in consent.items()])


def history_of(lead: Situation, _: Moment) -> Hashable:
    """Return what the facts of a lead's own past follow from; None where one of them is a time that passes."""
    state = lead.state
    return state.stage if state.below_stage_since is None and state.last_escalated_at is None else None


def attributes_of(names: Sequence[str]) -> Callable[[Situation, Moment], Hashable]:
    """Return what the facts of these attributes follow from."""

    def texts(lead: Situation, _: Moment) -> Hashable:
        attributes = lead.profile.attributes
        return tuple(map(attributes.get, names)) if attributes else ()

    return texts


def consent_fact(channel: Channel, state: ConsentState) -> FactFunction:
    """Return the fact that the latest word on a channel is this one."""

    def said(lead: Situation, _: Moment) -> bool:
        consent = lead.state.consent.get(channel)
        return consent is not None and consent.state is state

    return said


def attribute_fact(name: str, constant: FactValue) -> tuple[FactFunction, FactFunction]:
    """Return the fact of an attribute, read as the type that it is compared with, and whether it is known as that."""

    def value(lead: Situation, _: Moment) -> FactValue:
        found = parse_attribute(lead.profile.attributes.get(name), constant)
        return type(constant)() if found is None else found

    def known(lead: Situation, _: Moment) -> bool:
        return parse_attribute(lead.profile.attributes.get(name), constant) is not None

    return value, known


def parse_attribute(text: str | None, constant: FactValue) -> FactValue | None:
    """Return an attribute's text as the constant's type; None when it is unknown or is not of that type."""
    if text is None or isinstance(constant, str):
        return text
    if isinstance(constant, bool):
        return {"true": True, "false": False}.get(text.lower())
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < 1e300 else None  # noqa: PLR2004 (also refuses inf and nan)
