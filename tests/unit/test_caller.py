"""Who calls, and what a call's metadata may say."""

import pytest

from server.caller import Caller, caller_of, is_loopback
from server.errors import InvalidFieldsError, ManualClockOffError, TenantInvalidError


def test_who_says_nothing_is_the_default_tenant_on_the_stores_clock() -> None:
    caller = caller_of([], manual_clock=False)
    assert (caller.tenant, caller.clock) == ("default", "store")
    assert len(caller.correlation_id) == 32
    assert caller.correlation_id != caller_of([], manual_clock=False).correlation_id
    assert caller_of([], manual_clock=True).clock == "manual"


def test_tenant_time_and_correlation_id_are_taken_from_the_metadata() -> None:
    given = [("x-keepwell-tenant", "acme-1"), ("x-keepwell-now", "2026-03-01T12:00:00Z"), ("x-request-id", "r" * 200)]
    assert caller_of(given, manual_clock=True) == Caller("acme-1", "1772366400000", "r" * 128)


@pytest.mark.parametrize("tenant", ["", "Acme", "a b", "a" * 64, "acmé", "a/b", "a{b"])
def test_a_name_that_no_tenant_can_have_is_refused(tenant: str) -> None:
    with pytest.raises(TenantInvalidError):
        caller_of([("x-keepwell-tenant", tenant)], manual_clock=False)


@pytest.mark.parametrize("second", ["acme", "other", "", "A"])
def test_two_names_are_refused_and_neither_is_taken(second: str) -> None:
    with pytest.raises(TenantInvalidError, match="x-keepwell-tenant must be given once"):
        caller_of([("x-keepwell-tenant", "acme"), ("x-keepwell-tenant", second)], manual_clock=False)


def test_a_tenants_name_has_up_to_63_characters() -> None:
    assert caller_of([("x-keepwell-tenant", "a" * 63)], manual_clock=False).tenant == "a" * 63


def test_nobody_sets_the_time_of_a_server_that_keeps_the_stores() -> None:
    with pytest.raises(ManualClockOffError):
        caller_of([("x-keepwell-now", "2026-03-01T12:00:00Z")], manual_clock=False)


@pytest.mark.parametrize(
    "now", ["", "noon", "2026-03-01", "2026-03-01T12:00:00", "1970-01-01T00:00:00Z", "1969-01-01T00:00:00Z"]
)
def test_a_time_without_an_offset_or_before_the_epoch_is_refused_by_name(now: str) -> None:
    with pytest.raises(InvalidFieldsError) as error:
        caller_of([("x-keepwell-now", now)], manual_clock=True)
    assert [violation.field for violation in error.value.violations] == ["x-keepwell-now"]


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:1", True),
        ("0.0.0.0:1", False),
        ("[::]:1", False),
        ("10.0.0.1:1", False),
        (":1", False),
    ],
)
def test_only_this_machine_reaches_a_loopback_address(listen: str, expected: bool) -> None:
    assert is_loopback(listen) is expected
