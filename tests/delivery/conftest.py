"""A server that grants every channel, providers on loopback, and workers between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import start_server
from tests.delivery.desk import SECRET, Desk
from tests.delivery.mailbox import Mailbox
from tests.delivery.provider import Provider
from tests.delivery.workers import Workers

POLICY = Path(__file__).parent / "policy.yaml"


@pytest.fixture(scope="session")
def delivering_server(store_url: str) -> Iterator[str]:
    """The address of a server with the policy of these tests."""
    # Its clock is the store's: reviews would decide about the other tests' leads, whose clocks are told.
    environment = {"KEEPWELL_REVIEWS": "false"}
    running = start_server("--redis-url", store_url, "--policy", str(POLICY), environment=environment)
    yield running.address
    assert running.stop() == 0


@pytest.fixture
def desk(delivering_server: str, tenant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The deliveries of a tenant that nobody else uses."""
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("TOKEN", "token-7")
    return Desk(delivering_server, tenant, tmp_path)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server."""
    opened = Mailbox()
    yield opened
    opened.close()


@pytest.fixture
def provider() -> Iterator[Provider]:
    """An HTTP server."""
    opened = Provider()
    yield opened
    opened.close()


@pytest.fixture
def mailing(desk: Desk, mailbox: Mailbox) -> Desk:
    """A desk that mails."""
    desk.channel(
        "email", kind="smtp", host="127.0.0.1", port=mailbox.port, tls="none", sender="Care <care@example.org>"
    )
    return desk


@pytest.fixture
def workers(desk: Desk) -> Iterator[Workers]:
    """The desk's worker processes, which give up soon on what does not answer."""
    desk.settings |= {"ack_deadline_seconds": 1, "send_timeout_seconds": 1}
    started = Workers(desk)
    yield started
    started.finish()
