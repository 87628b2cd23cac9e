"""A mail server on loopback that keeps what it takes, and answers as it is told."""

import email
import ssl
from collections.abc import Callable
from email.message import Message
from typing import Any

from aiosmtpd.controller import Controller

from tests.conftest import free_port


class Mailbox:
    """Takes mails; `answers` are its next replies to RCPT and to DATA, `on_mail` is called when it has one, before it says so.

    With `tls` it takes them after STARTTLS alone.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.mails: list[Message] = []
        self.recipients: list[str] = []
        self.rcpt_answers: list[str] = []
        self.data_answers: list[str] = []
        self.on_mail: Callable[[], None] = lambda: None
        self.on_data: Callable[[Any], None] = lambda _: None
        self._controller = Controller(
            self, hostname="127.0.0.1", port=free_port(), tls_context=tls, require_starttls=tls is not None
        )
        self._controller.start()
        self.port = self._controller.port

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.rcpt_answers:
            return self.rcpt_answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.data_answers:
            return self.data_answers.pop(0)
        self.mails.append(email.message_from_bytes(envelope.content))
        self.recipients += envelope.rcpt_tos
        self.on_mail()
        self.on_data(server)
        return "250 2.0.0 taken"

    def close(self) -> None:
        self._controller.stop()
