"""A contact that is due, as every channel takes it; and what a channel is."""

from dataclasses import dataclass
from typing import Protocol

from keepwell_delivery.facts import Facts
from keepwell_delivery.templates import Wording


@dataclass(frozen=True)
class Contact:
    """One message to one person.

    Attributes:
        key: The same for every attempt: intervention id, or a notice's.
        address: Whom to contact, as the channel's provider names people; never logged.
        wording: What to say.
        playbook: The policy's name for it.
        facts: What the decision knows.

    """

    key: str
    address: str
    wording: Wording
    playbook: str
    facts: Facts


class Channel(Protocol):
    """Contacts people in one way.

    Attributes:
        takes_keys: The provider does a contact once, however often it is asked with the same key. Only then may an attempt that nobody
            knows the end of be made again.
        has_wording: It says something of its own, so a playbook needs a template.
        needs_address: It contacts the lead itself, not a team that looks after it.

    """

    takes_keys: bool
    has_wording: bool
    needs_address: bool

    async def send(self, contact: Contact) -> str:
        """Contact; return the provider's id, "" when it gives none.

        Raises:
            RefusedError, TryLaterError, UncertainError: It was not sent, or nobody knows.

        """

    async def close(self) -> None:
        """Let go of connections."""
