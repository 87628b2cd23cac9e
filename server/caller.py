"""Who calls: the tenant, the request's id for our log, and the clock the call is decided by, from the call's metadata.

In development mode (loopback, no credentials) metadata names the tenant. There is no other mode yet, so the server refuses to listen
anywhere else.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from random import getrandbits
from typing import NamedTuple

from server.errors import FieldViolation, InvalidFieldsError, ManualClockOffError, TenantInvalidError

TENANT = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


class Caller(NamedTuple):
    """One call's circumstances; `clock` is `store`, `manual`, or the instant in ms that a manual clock moves to."""

    tenant: str
    clock: str
    correlation_id: str


def caller_of(metadata: Iterable[tuple[str, str | bytes]], *, manual_clock: bool) -> Caller:
    """Return who calls.

    Raises:
        TenantInvalidError: The tenant's name is not one, or there are two: neither may be taken for the other.
        ManualClockOffError: The call sets the time and the server keeps the store's.
        InvalidFieldsError: The time is not one.

    """
    texts = [(name, value) for name, value in metadata if isinstance(value, str)]
    given = dict(texts)
    tenant = given.get("x-keepwell-tenant", "default")
    if [name for name, _ in texts].count("x-keepwell-tenant") > 1:
        raise TenantInvalidError("x-keepwell-tenant must be given once")
    if not TENANT.fullmatch(tenant):
        raise TenantInvalidError("x-keepwell-tenant must be 1 to 63 lower-case letters, digits, - and _")
    now = given.get("x-keepwell-now")
    if now is not None and not manual_clock:
        raise ManualClockOffError("x-keepwell-now needs a server in development mode with --clock manual")
    clock = str(_instant(now)) if now is not None else ("manual" if manual_clock else "store")
    return Caller(tenant, clock, given.get("x-request-id", "")[:128] or f"{getrandbits(128):032x}")


def _instant(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or time.timestamp() <= 0:
        raise InvalidFieldsError(
            FieldViolation("x-keepwell-now", "must be an RFC 3339 time, such as 2026-01-31T12:00:00Z")
        )
    return round(time.timestamp() * 1_000)


def is_loopback(listen: str) -> bool:
    """Return whether an address can be reached from this machine only."""
    return listen.rpartition(":")[0] in LOOPBACK
