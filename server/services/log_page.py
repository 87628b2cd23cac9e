"""Page tokens that are a place in a stream of the store."""

import re

from server.errors import PageTokenInvalidError
from server.feed.token import order

PLACE = re.compile(r"(0|[1-9][0-9]{0,19})-(0|[1-9][0-9]{0,19})")
LARGEST = (1 << 64) - 1  # of each part, as the store counts


def place_of(page_token: str, method: str) -> str:
    """Return the place that a token names, "" for none; raises PageTokenInvalidError for what the store would not take for one."""
    if page_token:
        place = order(page_token) if PLACE.fullmatch(page_token) else None
        # Nothing comes after the last place there can be: no token names it, and the store takes it for a mistake.
        if place is None or max(place) > LARGEST or min(place) == LARGEST:
            raise PageTokenInvalidError(f"page_token was not issued by {method}")
    return page_token
