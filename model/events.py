"""The event schema: which types of events there are, and what each says about a lead.

Only what the lead does counts as activity. An e-mail that was opened is counted, but is no activity: mail programs open by themselves.
These are everybody's types; a tenant may declare its own (`model/event_document.py`).
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

LATE_DAYS = 30  # how late an event may arrive
MAX_PROPERTIES, LONGEST_TEXT = 32, 256


class Counter(IntEnum):
    """What events are counted as."""

    PAGE_VIEWS = 0
    EMAIL_OPENS = 1
    EMAIL_CLICKS = 2
    INQUIRIES = 3
    PURCHASES = 4


VIEWS, OPENS, CLICKS, INQUIRIES, PURCHASES = Counter


class PropertyType(NamedTuple):
    """What a property may say; properties arrive as text."""

    kind: str = "text"  # or integer, number, boolean
    required: bool = False
    lowest: float | None = None
    highest: float | None = None
    longest: int = LONGEST_TEXT
    choices: tuple[str, ...] = ()


class EventType(NamedTuple):
    """A type of event: what it counts towards, and whether it carries an amount."""

    name: str
    meaning: str
    activity: bool = True
    counter: Counter | None = None
    amount: int = 0  # sign of its value in the lead's amounts; 0: the type carries no value
    withdraws_consent: bool = False
    properties: Mapping[str, PropertyType] | None = None  # None: any, as text


EVENT_TYPES = (
    EventType("site_visit", "came to the site", counter=VIEWS),
    EventType("page_view", "saw a page", counter=VIEWS),
    EventType("property_view", "saw a property's page", counter=VIEWS),
    EventType("email_open", "opened an e-mail", activity=False, counter=OPENS),
    EventType("email_click", "followed a link in an e-mail", counter=CLICKS),
    EventType("email_reply", "answered an e-mail"),
    EventType("inquiry", "asked about an offer", counter=INQUIRIES),
    EventType("call", "called, or took a call"),
    EventType("meeting", "met an agent"),
    EventType("message", "wrote a message"),
    EventType("login", "signed in"),
    EventType("offer", "made an offer", amount=1),
    EventType("purchase", "bought", counter=PURCHASES, amount=1),
    EventType("refund", "got money back", activity=False, amount=-1),
    EventType("complaint", "complained"),
    EventType("opt_out", "asked not to be contacted any more", activity=False, withdraws_consent=True),
)
CORE: Mapping[str, EventType] = MappingProxyType({kind.name: kind for kind in EVENT_TYPES})


def event_type(name: str) -> EventType | None:
    """Return one of everybody's types by its name; None when there is none."""
    return CORE.get(name)
