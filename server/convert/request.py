"""A request for a decision, checked, as the road takes it."""

from collections.abc import Mapping
from hashlib import blake2b
from secrets import token_hex
from typing import Any, Final

from google.protobuf.message import Message
from keepwell.v1 import decision_pb2, decision_service_pb2, lead_pb2
from msgspec.msgpack import Encoder

from model.features import UNKNOWN_CATEGORIES, FeatureError, check_category, numbers_row
from rules.lead import MAX_ATTRIBUTES
from server.convert.checks import COUNTRY, CURRENCY, Checker
from server.road.job import DecideInput
from server.store.keys import FINGERPRINT_BYTES

CHANNEL_NAMES = ("email", "sms", "phone", "push", "in_app", "crm_workflow", "agent_assignment")
NO_PROFILE: Final[Mapping[str, Any]] = {}
TEXT_FIELDS = {"region": 64, "owner": 128, "manager": 128, "segment": 64}
_canonical: Final = Encoder(order="deterministic").encode
# Copied for each digest: to make one with its parameters costs more than the copy, and a short text's hashing.
_DECISION_IDS: Final = blake2b(digest_size=15, person=b"decision")
_FINGERPRINTS: Final = blake2b(digest_size=FINGERPRINT_BYTES)


# The features of a request that were given, as the road takes them: numbers, categories, and the instant they are of.
Told = tuple[bytes, tuple[str, ...], int | None]


def decision_id_of(tenant: str, request_id: str) -> str:
    """Return the id of the decision that a request leads to: the same for every retry."""
    digest = _DECISION_IDS.copy()
    digest.update(f"{tenant}/{request_id}".encode())
    return digest.hexdigest()


def fingerprint_of(message: Message) -> bytes:
    """Return a digest of a request's body, by which another body under the same id is noticed."""
    return _digest(message.SerializeToString(deterministic=True))


def _digest(body: bytes) -> bytes:
    digest = _FINGERPRINTS.copy()
    digest.update(body)
    return digest.digest()


def input_of(
    tenant: str,
    request: decision_service_pb2.DecideRequest,
    *,
    told: Told | None = None,
    request_id_required: bool = False,
) -> DecideInput:
    """Return what the road takes; `told` by features that were read before.

    Raises:
        InvalidFieldsError: Every bad field, with what is allowed.

    """
    check = Checker()
    lead_id, request_id, explain = request.lead_id, request.request_id, request.explain
    check.identifier("lead_id", lead_id)
    if request_id or request_id_required:
        check.identifier("request_id", request_id)
    probability = None
    if request.HasField("churn_probability"):
        probability = request.churn_probability
        check.probability("churn_probability", probability)
    if told is None:
        told = given_features(check, "features", request.features)
    profile: dict[str, Any] = {}
    if request.HasField("profile"):
        profile = given_profile(check, "profile", request.profile)
        if request.profile.lead_id not in ("", lead_id):
            check.note("profile.lead_id", "must be empty or the request's own lead_id")
    check.raise_if_any()
    return decide_input(tenant, lead_id, request_id or token_hex(16), told, probability, profile, explain)


def decide_input(
    tenant: str,
    lead_id: str,
    request_id: str,
    told: Told,
    probability: float | None = None,
    profile: Mapping[str, Any] = NO_PROFILE,
    explain: bool = False,
) -> DecideInput:
    """Return what the road takes of sound parts of a request."""
    numbers, categories, as_of = told
    # Of what the road takes rather than of the message, which costs three times as much to write in one certain order; without what is unknown
    # at the end of the schema, which may grow before a retry comes.
    fingerprint = _digest(_canonical((lead_id, numbers, _known(categories), as_of, probability, profile, explain)))
    decision_id = decision_id_of(tenant, request_id)
    return DecideInput(lead_id, decision_id, fingerprint, numbers, categories, as_of, probability, profile, explain)


def given_features(check: Checker, path: str, features: decision_pb2.Features) -> Told:
    """Return what features tell."""
    given, said = features.numbers, features.categories
    numbers = _numbers(check, path, given) if given else b""
    categories = _categories(check, path, said) if said else ()
    as_of = check.instant(f"{path}.as_of", features.as_of) if features.HasField("as_of") else None
    return numbers, categories, as_of


def _numbers(check: Checker, path: str, given: Mapping[str, float]) -> bytes:
    numbers, faults = numbers_row(given)
    for name, description in faults.items():
        check.note(f'{path}.numbers["{name}"]', description)
    return numbers


def _categories(check: Checker, path: str, given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the categories in the order of the schema, "" where none was given."""
    row = list(UNKNOWN_CATEGORIES)
    for name in given:
        try:
            row[check_category(name, given[name])] = given[name]
        except FeatureError as error:
            check.note(f'{path}.categories["{name}"]', str(error))
    return tuple(row)


def _known(categories: tuple[str, ...]) -> tuple[str, ...]:
    """Return categories without the unknown ones at their end."""
    while categories and not categories[-1]:
        categories = categories[:-1]
    return categories


def given_profile(check: Checker, path: str, profile: lead_pb2.LeadProfile) -> dict[str, Any]:
    """Return the fields of a profile that were given, by their names in `LeadProfile` of the core."""
    check.zone(f"{path}.time_zone", profile.time_zone)
    check.matches(f"{path}.country", profile.country, COUNTRY, "an ISO 3166-1 alpha-2 country, such as US")
    check.matches(f"{path}.currency", profile.currency, CURRENCY, "an ISO 4217 currency, such as USD")
    for name, longest in TEXT_FIELDS.items():
        check.text(f"{path}.{name}", getattr(profile, name), longest)
    given: dict[str, Any] = {
        name: getattr(profile, name)
        for name in ("time_zone", "country", "currency", *TEXT_FIELDS)
        if getattr(profile, name)
    }
    if profile.HasField("value"):
        check.amount(f"{path}.value", profile.value)
        given["value"] = profile.value
    if profile.attributes:
        given["attributes"] = _attributes(check, path, profile.attributes)
    if profile.contacts:
        given["contacts"] = _contacts(check, path, profile.contacts)
    return given


def _attributes(check: Checker, path: str, attributes: Mapping[str, str]) -> dict[str, str]:
    if len(attributes) > MAX_ATTRIBUTES:
        check.note(f"{path}.attributes", f"must be at most {MAX_ATTRIBUTES}")
    for name, value in attributes.items():
        check.text(f'{path}.attributes["{name}"]', value, 256)
        if not name or len(name) > 40 or not name.isidentifier():  # noqa: PLR2004 (the contract's bound)
            check.note(f'{path}.attributes["{name}"]', "must be named by 1 to 40 letters, digits and underscores")
    return dict(sorted(attributes.items()))


def _contacts(check: Checker, path: str, contacts: Mapping[str, str]) -> dict[str, str]:
    for name, address in contacts.items():
        if name not in CHANNEL_NAMES:
            check.note(f'{path}.contacts["{name}"]', f"must be one of {', '.join(CHANNEL_NAMES)}")
        check.text(f'{path}.contacts["{name}"]', address, 256)
    return dict(sorted(contacts.items()))
