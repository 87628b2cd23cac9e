"""A chat, pager or mailbox of a team, through apprise."""

import apprise
from apprise.result import AppriseResultStatus

from keepwell_delivery.config import ChatSettings, ConfigError
from keepwell_delivery.contact import Contact
from keepwell_delivery.receipt import TryLaterError, UncertainError


class ChatChannel:
    """Notifies a team. apprise says whether the service took it, and nothing of why not or of ids.

    Raises:
        ConfigError: apprise does not know such a URL.

    """

    takes_keys = False
    has_wording = True
    needs_address = False

    def __init__(self, settings: ChatSettings, send_timeout_seconds: float) -> None:
        service = apprise.Apprise.instantiate(settings.url.get_secret_value())
        if service is None:
            raise ConfigError("a chat's url is none that apprise knows")
        # A service that hangs is left to the timeout of the whole, so that it is not taken for one that refused.
        service.socket_read_timeout = 2 * send_timeout_seconds
        self._timeout_seconds = send_timeout_seconds
        self._services = apprise.Apprise()
        self._services.add(service)

    async def send(self, contact: Contact) -> str:
        """Notify."""
        result = await self._services.async_notify(
            body=contact.wording.text, title=contact.wording.subject, timeout=self._timeout_seconds
        )
        if result.status is AppriseResultStatus.TIMEOUT:
            raise UncertainError("chat: no answer in time")
        if result.status is not AppriseResultStatus.SUCCESS:
            raise TryLaterError("chat: refused, or not reached")
        return ""

    async def close(self) -> None:
        """Nothing is kept open."""
