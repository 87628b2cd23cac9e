"""One request to a provider over HTTP, and what its answer means for the contact."""

import email.utils
import functools
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from keepwell_delivery.receipt import DeliveryError, RefusedError, TryLaterError, UncertainError

# A connection that the provider closes as we write to it would look like a request that may have arrived.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=0)
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
UNAUTHORISED_SECONDS = 60.0
_BY_STATUS: dict[int, Callable[[str, float | None], DeliveryError]] = {
    401: lambda detail, seconds: TryLaterError(detail, seconds or UNAUTHORISED_SECONDS),  # an operator can mend it
    408: TryLaterError,  # the provider did not get all of it
    425: TryLaterError,
    429: TryLaterError,
    # A gateway does not know what became of the request behind it.
    502: lambda detail, _: UncertainError(detail),
    504: lambda detail, _: UncertainError(detail),
}


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Return the authorities to trust, read once: that takes a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)


def client(timeout_seconds: float) -> httpx.AsyncClient:
    """Return a client whose every step is bounded; redirects are not followed, as they would carry addresses elsewhere."""
    return httpx.AsyncClient(
        timeout=timeout_seconds, limits=_LIMITS, follow_redirects=False, trust_env=False, verify=_trusted()
    )


async def send(http: httpx.AsyncClient, provider: str, method: str, url: str, **request: Any) -> httpx.Response:
    """Return the provider's answer, whatever its status.

    Raises:
        TryLaterError: No connection, so nothing was sent.
        UncertainError: The connection was lost, or the answer did not come, after all of the request may have arrived.

    """
    try:
        return await http.request(method, url, **request)
    except _NOT_SENT as error:
        raise TryLaterError(f"{provider}: {type(error).__name__}") from error
    except httpx.HTTPError as error:
        raise UncertainError(f"{provider}: {type(error).__name__}") from error


def check(answer: httpx.Response, provider: str, code: str = "") -> None:
    """Return when the provider took it.

    Args:
        answer: What the provider said.
        provider: Its name, for the detail.
        code: The provider's own error code, if it gave one.

    Raises:
        DeliveryError: The kind that the status stands for.

    """
    if answer.is_success:
        return
    detail = f"{provider}: {answer.status_code}" + (f" {code}" if code else "")
    kind = _BY_STATUS.get(answer.status_code)
    if kind:
        raise kind(detail, retry_after_seconds(answer.headers))
    if answer.is_server_error:
        raise TryLaterError(detail, retry_after_seconds(answer.headers))
    raise RefusedError(detail)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Return what Retry-After asks for, in either of its forms (RFC 9110, 10.2.3); None when it is absent or neither."""
    given = headers.get("retry-after", "").strip()
    if given.isdigit():
        return float(given)
    try:
        return max(email.utils.parsedate_to_datetime(given).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


def json_of(answer: httpx.Response) -> dict[str, Any]:
    """Return the answer's body; an empty object when it is something else, such as a gateway's page."""
    try:
        return as_object(answer.json())
    except ValueError:
        return {}


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object; an empty one when the value is something else."""
    return value if isinstance(value, dict) else {}
