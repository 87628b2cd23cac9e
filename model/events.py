"""The event schema: which types of events there are, and what each says about a lead.

Only what the lead does counts as activity. An e-mail that was opened is counted, but is no activity: mail programs open by themselves.
"""

from typing import NamedTuple

LATE_DAYS = 30  # how late an event may arrive
VIEWS, OPENS, CLICKS, INQUIRIES, PURCHASES = range(5)


class EventType(NamedTuple):
    """A type of event: what it counts towards, and whether it carries an amount."""

    name: str
    meaning: str
    activity: bool = True
    counter: int | None = None
    amount: int = 0  # sign of its value in the lead's amounts; 0: the type carries no value
    withdraws_consent: bool = False


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
_BY_NAME = {kind.name: kind for kind in EVENT_TYPES}


def event_type(name: str) -> EventType | None:
    """Return a type by its name; None when there is none."""
    return _BY_NAME.get(name)


def event_type_names() -> str:
    """Return all names, for an error message."""
    return ", ".join(_BY_NAME)
