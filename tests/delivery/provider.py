"""An HTTP server on loopback that keeps what it is asked, and answers as it is told."""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

HANG, DROP, DROP_HALF_WAY = "hang", "drop", "drop half way"


@dataclass(frozen=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode(), strict_parsing=True).items()}


@dataclass(frozen=True)
class Answer:
    """One answer."""

    status: int = 200
    body: Any = None
    headers: tuple[tuple[str, str], ...] = ()


class Provider:
    """Answers 200 and {} unless `answers` has others, each used once."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answers: list[Answer | str] = []
        self.usual = Answer(body={})
        self.on_request: Callable[[], object] = lambda: None
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(provider) -> type[BaseHTTPRequestHandler]:  # noqa: N805 (the handler has a self of its own)
        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                provider.asked.append(Asked(self.path, headers, body))
                provider.on_request()
                self._say(provider.answers.pop(0) if provider.answers else provider.usual)

            do_GET = do_POST = _serve  # noqa: N815 (the library's names)

            def _say(self, answer: Answer | str) -> None:
                if answer == HANG:
                    provider._released.wait()
                elif isinstance(answer, Answer):
                    body = json.dumps(answer.body).encode()
                    self.send_response(answer.status)
                    for name, value in (*answer.headers, ("content-length", str(len(body)))):
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)
                if answer == DROP_HALF_WAY:
                    self.wfile.write(b"HTTP/1.0 200 OK\r\ncontent-length: 100\r\n\r\n{")
                if isinstance(answer, str):
                    self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, *_: object) -> None:
                pass

        return Handler
