"""Resume tokens: a place in each partition's log, bound to the tenant and the filter, and authenticated.

A token is only meaningful to this service: base64 of `<digest of the rest, 16 bytes><filter digest, 8 bytes><log ids>`.
"""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b
from hmac import compare_digest
from typing import NamedTuple

from server.errors import ResumeTokenInvalidError
from server.store.connection import Store
from server.store.keys import TOKEN_KEY

MAC_BYTES = 16
FILTER_BYTES = 8

Position = tuple[str, ...]  # a log id for each partition


def order(log_id: str) -> tuple[int, int]:
    """Return a log id as something that sorts."""
    milliseconds, _, sequence = log_id.partition("-")
    return int(milliseconds), int(sequence)


def filter_digest(filter_bytes: bytes) -> bytes:
    """Return what a token remembers of a filter."""
    return blake2b(filter_bytes, digest_size=FILTER_BYTES).digest()


class TokenSealer(NamedTuple):
    """Makes and opens tokens; every replica has the same key, from the store."""

    key: bytes

    def seal(self, tenant: str, digest: bytes, position: Position) -> str:
        """Return the token for a position."""
        body = digest + ",".join(position).encode()
        return urlsafe_b64encode(self._mac(tenant, body) + body).decode()

    def open(self, tenant: str, digest: bytes, token: str) -> Position:
        """Return the position of a token.

        Raises:
            ResumeTokenInvalidError: Damaged, or sealed for another tenant or filter.

        """
        try:
            data = urlsafe_b64decode(token.encode("ascii"))
        except (Base64Error, ValueError) as error:
            raise ResumeTokenInvalidError("the token is damaged") from error
        mac, body = data[:MAC_BYTES], data[MAC_BYTES:]
        if not compare_digest(mac, self._mac(tenant, body)):
            raise ResumeTokenInvalidError("the token is damaged, or belongs to another tenant")
        if body[:FILTER_BYTES] != digest:
            raise ResumeTokenInvalidError("the token belongs to another filter")
        return tuple(body[FILTER_BYTES:].decode().split(","))

    def _mac(self, tenant: str, body: bytes) -> bytes:
        return blake2b(tenant.encode() + b"\0" + body, key=self.key, digest_size=MAC_BYTES).digest()


async def load_sealer(client: Store) -> TokenSealer:
    """Return the sealer with the store's key, which the first server made."""
    known: bytes | None = await client.get(TOKEN_KEY)
    if known is not None:  # nothing is written: a store without memory left refuses that, and can be read all the same
        return TokenSealer(known)
    await client.set(TOKEN_KEY, secrets.token_bytes(32), nx=True)
    key: bytes = await client.get(TOKEN_KEY)
    return TokenSealer(key)
