"""A signed webhook: a dialler's call task, a message inside the app, a notice to a manager's tool."""

import time
from datetime import UTC, datetime

import orjson
from standardwebhooks.webhooks import Webhook

from keepwell_delivery.config import WebhookSettings
from keepwell_delivery.contact import Contact
from keepwell_delivery.http import check, client, send


class WebhookChannel:
    """Posts. Whoever receives it does each `webhook-id` once.

    Source: Standard Webhooks 1.0.0 (webhook-id, webhook-timestamp, webhook-signature).
    """

    takes_keys = True
    has_wording = True

    def __init__(self, settings: WebhookSettings, timeout_seconds: float) -> None:
        self.needs_address = settings.needs_address
        self._url = settings.url
        self._type = settings.type
        self._signer = Webhook(settings.secret.get_secret_value())
        self._http = client(timeout_seconds)

    async def send(self, contact: Contact) -> str:
        """Post; return the webhook's id."""
        now = datetime.fromtimestamp(int(time.time()), UTC)
        wording = {"subject": contact.wording.subject, "text": contact.wording.text, "html": contact.wording.html}
        data = {**contact.facts, "address": contact.address, **wording}
        body = orjson.dumps({"type": self._type, "timestamp": now, "data": data})
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": contact.key,
            "webhook-id": contact.key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(contact.key, now, body.decode()),
        }
        check(await send(self._http, "webhook", "POST", self._url, headers=headers, content=body), "webhook")
        return contact.key

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()
