"""The demo's accounts: what became of every contact that was granted, by what arrived and by what the workers wrote down."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from keepwell_delivery.journal import Entry, State


class Account(StrEnum):
    """What became of one granted contact; the last three must not happen."""

    DELIVERED = "delivered exactly once, and reported so"
    FAILED = "refused or expired, not sent; reported so"
    UNKNOWN = "cut off while it was sent; reported so, never sent again"
    TWICE = "DELIVERED TWICE"
    MISSING = "MISSING"
    FALSE = "NOT WHAT WAS REPORTED"

    @property
    def is_broken(self) -> bool:
        """Whether this breaks a promise."""
        return self in {Account.TWICE, Account.MISSING, Account.FALSE}


class Grant(NamedTuple):
    """A contact that a decision granted."""

    key: str
    lead_id: str
    at: int  # in ms
    channel: str


def account(arrived: int, entry: Entry | None) -> Account:
    """Return what became of a contact.

    Args:
        arrived: How often providers have it.
        entry: The workers' row of it.

    """
    if arrived > 1:
        return Account.TWICE
    if entry is None or not entry.is_final or not entry.reported:
        return Account.MISSING
    if entry.state is State.UNKNOWN:
        return Account.UNKNOWN
    if (entry.state is State.SENT) != (arrived == 1):
        return Account.FALSE
    return Account.DELIVERED if arrived else Account.FAILED


def accounts(
    grants: Iterable[Grant], arrived: Mapping[str, int], entry: Callable[[str], Entry | None]
) -> dict[Grant, Account]:
    """Return each contact with what became of it."""
    return {grant: account(arrived.get(grant.key, 0), entry(grant.key)) for grant in grants}


class Findings(NamedTuple):
    """What the demo counted.

    Attributes:
        became: Contacts by what became of them.
        lost: Decisions that the watcher missed, or had more than once.
        over_contacted: Leads that were contacted more often than the policy's limits allow.

    """

    became: Counter[Account]
    lost: int
    over_contacted: int

    @property
    def is_kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.lost and not self.over_contacted and not any(kind.is_broken for kind in self.became)
