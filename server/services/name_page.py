"""Page tokens of the list of subscriptions: the last name of a page, sealed. It may be deleted before the next page is asked for."""

from server.errors import PageTokenInvalidError, ResumeTokenInvalidError
from server.feed.token import TokenSealer, filter_digest

KIND = filter_digest(b"subscriptions")  # what binds a token to this list


def token_after(sealer: TokenSealer, tenant: str, name: str) -> str:
    """Return the token for the names after a name."""
    return sealer.seal(tenant, KIND, (name,))


def name_of(sealer: TokenSealer, tenant: str, page_token: str) -> str:
    """Return the name that a token goes on after, "" for none; raises PageTokenInvalidError."""
    if not page_token:
        return ""
    try:
        parts = sealer.open(tenant, KIND, page_token)
    except ResumeTokenInvalidError as error:
        raise PageTokenInvalidError("page_token was not issued by ListSubscriptions") from error
    return ",".join(parts)  # the sealer takes a comma for the end of a part, and names may have some
