"""Text messages through Twilio's Messages API, or one that is compatible."""

from keepwell_delivery.config import TwilioSettings
from keepwell_delivery.contact import Contact
from keepwell_delivery.http import check, client, json_of, send
from keepwell_delivery.receipt import RefusedError

OPTED_OUT = 21610  # the recipient answered STOP


class TwilioChannel:
    """Texts. Twilio ignores Idempotency-Key; say `takes_keys` of a compatible provider that honours it.

    Source: Twilio's REST API, `POST /2010-04-01/Accounts/{AccountSid}/Messages.json`, and its error dictionary.
    """

    has_wording = True
    needs_address = True

    def __init__(self, settings: TwilioSettings, timeout_seconds: float) -> None:
        self.takes_keys = settings.takes_keys
        self._http = client(timeout_seconds)
        self._url = f"{settings.base_url}/2010-04-01/Accounts/{settings.account_sid}/Messages.json"
        self._login = (settings.api_key or settings.account_sid, settings.auth_token.get_secret_value())
        self._sender = (
            {"MessagingServiceSid": settings.messaging_service_sid}
            if settings.messaging_service_sid
            else {"From": settings.sender}
        )

    async def send(self, contact: Contact) -> str:
        """Text; return the message's SID."""
        answer = await send(
            self._http,
            "twilio",
            "POST",
            self._url,
            auth=self._login,
            headers={"Idempotency-Key": contact.key},
            data={"To": contact.address, "Body": contact.wording.text, **self._sender},
        )
        body = json_of(answer)
        code = body.get("code")
        if code == OPTED_OUT:
            raise RefusedError(f"twilio: {OPTED_OUT}", opted_out=True)
        check(answer, "twilio", str(code or ""))
        return str(body.get("sid", ""))

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()
