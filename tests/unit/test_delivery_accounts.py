"""What the delivery demo counts as kept and as broken."""

from collections import Counter

import pytest
from keepwell_delivery.journal import Entry, State

from server.cli.delivery_demo.accounts import Account, Findings, Grant, account, accounts


def entry(state: State, outcome: bytes = b"outcome", *, reported: bool = True) -> Entry:
    return Entry(state, 1, 0.0, uncertain=False, outcome=outcome, reported=reported)


@pytest.mark.parametrize(
    ("arrived", "row", "became", "is_broken"),
    [
        (1, entry(State.SENT), Account.DELIVERED, False),
        (0, entry(State.FAILED), Account.FAILED, False),
        (0, entry(State.UNKNOWN), Account.UNKNOWN, False),
        (1, entry(State.UNKNOWN), Account.UNKNOWN, False),
        (2, entry(State.SENT), Account.TWICE, True),
        (2, entry(State.UNKNOWN), Account.TWICE, True),
        (0, None, Account.MISSING, True),
        (1, None, Account.MISSING, True),
        (1, entry(State.BEGUN, b""), Account.MISSING, True),
        (1, entry(State.SENT, reported=False), Account.MISSING, True),
        (0, entry(State.SENT), Account.FALSE, True),
        (1, entry(State.FAILED), Account.FALSE, True),
    ],
)
def test_a_contact_is_accounted_for_when_what_arrived_is_what_was_reported(
    arrived: int, row: Entry | None, became: Account, is_broken: bool
) -> None:
    assert account(arrived, row) is became
    assert became.is_broken is is_broken


def test_a_grant_that_no_provider_has_arrived_no_times() -> None:
    sent, lost = Grant("i1", "lead", 0, "email"), Grant("i2", "lead", 0, "sms")
    rows = {"i1": entry(State.SENT), "i2": entry(State.SENT)}
    assert accounts([sent, lost], {"i1": 1}, rows.get) == {sent: Account.DELIVERED, lost: Account.FALSE}


@pytest.mark.parametrize(
    ("became", "lost", "over_contacted", "is_kept"),
    [
        ({Account.DELIVERED: 3, Account.FAILED: 2, Account.UNKNOWN: 1}, 0, 0, True),
        ({Account.DELIVERED: 3, Account.TWICE: 1}, 0, 0, False),
        ({Account.DELIVERED: 3}, 1, 0, False),
        ({Account.DELIVERED: 3}, 0, 1, False),
    ],
)
def test_a_demo_that_broke_one_promise_has_failed(
    became: dict[Account, int], lost: int, over_contacted: int, is_kept: bool
) -> None:
    assert Findings(Counter(became), lost, over_contacted).is_kept is is_kept
