"""Delivery ids: which entry of the log, which attempt, of which subscription; authenticated, so only what was handed out can be settled."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b
from hmac import compare_digest

from server.store.subscriptions import Settlement

MAC_BYTES = 12


class DeliveryIdInvalidError(Exception):
    """The subscription did not issue this id."""


def seal_delivery(key: bytes, tenant: str, subscription: str, delivery: Settlement) -> str:
    """Return the id of a delivery."""
    body = f"{delivery.epoch} {delivery.log_id} {delivery.attempt}".encode()
    return urlsafe_b64encode(_mac(key, tenant, subscription, body) + body).decode()


def open_delivery(key: bytes, tenant: str, subscription: str, delivery_id: str) -> Settlement:
    """Return what an id names; raises DeliveryIdInvalidError."""
    try:
        data = urlsafe_b64decode(delivery_id.encode("ascii"))
    except (Base64Error, ValueError) as error:
        raise DeliveryIdInvalidError from error
    mac, body = data[:MAC_BYTES], data[MAC_BYTES:]
    if not compare_digest(mac, _mac(key, tenant, subscription, body)):
        raise DeliveryIdInvalidError
    epoch, log_id, attempt = body.decode().split(" ")
    return Settlement(int(epoch), log_id, int(attempt))


def _mac(key: bytes, tenant: str, subscription: str, body: bytes) -> bytes:
    whose = f"{tenant} {subscription} ".encode()
    return blake2b(whose + body, key=key, digest_size=MAC_BYTES, person=b"delivery").digest()
