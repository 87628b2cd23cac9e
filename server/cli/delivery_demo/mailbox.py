"""The demo's mailbox server, and its text, telephone and app providers: what arrived, by the key of its contact."""

import asyncio
import contextlib
import email
import email.policy
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller

from server.cli.free_port import free_port

ANSWER_SECONDS = 0.2  # from having a contact to saying so: long enough for workers to be killed in between
UNKNOWN_PERSON = "moved-away-"  # an address that begins so is refused, as that of somebody who left


class Mailbox:
    """A mail server on loopback. Mails to managers go to `on_notice`, others count by their contact's key (in the Message-ID)."""

    def __init__(self, on_notice: Callable[[EmailMessage], None]) -> None:
        self.arrived: Counter[str] = Counter()
        self.refused = 0
        self._on_notice = on_notice
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())
        self._controller.start()
        self.port = self._controller.port

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Answer whether somebody has this address."""
        if address.startswith(UNKNOWN_PERSON):
            self.refused += 1
            return "550 5.1.1 no such person"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        """Take a mail."""
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        if envelope.rcpt_tos[0].partition("@")[0] in {"manager", "director"}:
            self._on_notice(mail)
        else:
            self.arrived[mail["Message-ID"].strip("<>").partition("@")[0]] += 1
        await asyncio.sleep(ANSWER_SECONDS)
        return "250 2.0.0 taken"

    def close(self) -> None:
        """Stop listening."""
        self._controller.stop()


class Provider:
    """Texts, calls and in-app messages over HTTP: takes a contact once under each Idempotency-Key, as its channels are told."""

    def __init__(self) -> None:
        self.arrived: Counter[str] = Counter()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (the handler has a self of its own)
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                provider.arrived[self.headers["idempotency-key"]] = 1
                time.sleep(ANSWER_SECONDS)
                with contextlib.suppress(ConnectionError):  # whoever asked was killed
                    self._answer(b'{"sid": "SM1"}')

            def _answer(self, body: bytes) -> None:
                self.send_response(201)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler
