"""Push notifications through Firebase Cloud Messaging, HTTP v1."""

import asyncio
import time
from typing import Any

import google.auth.exceptions
import httpx
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from keepwell_delivery.config import FcmSettings
from keepwell_delivery.contact import Contact
from keepwell_delivery.http import as_object, check, client, json_of, send
from keepwell_delivery.receipt import TryLaterError

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
QUOTA_SECONDS = 60.0  # Firebase asks for a minute at least when its answer has no Retry-After


class FcmChannel:
    """Pushes. FCM knows no idempotency key; the tag and the collapse id make a device show a second copy in the place of the first.

    Source: Firebase's reference of `projects.messages.send` and of its ErrorCode.
    """

    takes_keys = False
    has_wording = True
    needs_address = True

    def __init__(self, settings: FcmSettings, timeout_seconds: float) -> None:
        self._http = client(timeout_seconds)
        self._url = f"{settings.base_url}/v1/projects/{settings.project}/messages:send"
        self._credentials = Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
            settings.service_account_file, scopes=[SCOPE]
        )
        self._refreshing = asyncio.Lock()

    async def send(self, contact: Contact) -> str:
        """Push; return the message's name."""
        headers = {"Authorization": f"Bearer {await self._token()}"}
        answer = await send(
            self._http, "fcm", "POST", self._url, headers=headers, json={"message": self._message(contact)}
        )
        code = _error_code(answer)
        if code == "QUOTA_EXCEEDED" and "retry-after" not in answer.headers:
            raise TryLaterError(f"fcm: {answer.status_code} {code}", QUOTA_SECONDS)
        check(answer, "fcm", code)
        return str(json_of(answer).get("name", ""))

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def _token(self) -> str:
        async with self._refreshing:
            if not self._credentials.valid:
                try:
                    await asyncio.to_thread(self._credentials.refresh, Request())
                except google.auth.exceptions.GoogleAuthError as error:
                    raise TryLaterError(f"fcm: {type(error).__name__} at login") from error
            return str(self._credentials.token)

    @staticmethod
    def _message(contact: Contact) -> dict[str, Any]:
        expires = contact.facts["expire_time"].timestamp()
        return {
            "token": contact.address,
            "notification": {"title": contact.wording.subject, "body": contact.wording.text},
            "data": {"intervention_id": contact.key, "playbook": contact.playbook},
            "android": {
                "ttl": f"{max(int(expires - time.time()), 0)}s",
                "notification": {"tag": contact.key},
            },
            "apns": {"headers": {"apns-collapse-id": contact.key, "apns-expiration": str(int(expires))}},
        }


def _error_code(answer: httpx.Response) -> str:
    """Return FCM's own code, which says more than the status: UNREGISTERED and a wrong project are both 404."""
    if answer.is_success:
        return ""
    error = as_object(json_of(answer).get("error"))  # a gateway before Firebase may put a text there
    details = error.get("details")
    given = [as_object(each).get("errorCode") for each in details] if isinstance(details, list) else []
    return next((code for code in (*given, error.get("status")) if isinstance(code, str)), "")
