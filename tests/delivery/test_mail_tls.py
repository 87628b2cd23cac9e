"""Mails go out encrypted, to a server whose certificate is trusted, or not at all."""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from keepwell_delivery.journal import State

from tests.delivery.desk import Desk
from tests.delivery.mailbox import Mailbox

LOOPBACK = ipaddress.ip_address("127.0.0.1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a certificate for 127.0.0.1, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mailbox")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2126, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(LOOPBACK)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mailbox.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def encrypting(certificate: Path) -> Iterator[Mailbox]:
    """A mail server that takes nothing in the clear."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    opened = Mailbox(tls)
    yield opened
    opened.close()


def over_starttls(desk: Desk, mailbox: Mailbox) -> Desk:
    desk.channel("email", kind="smtp", host="127.0.0.1", port=mailbox.port, sender="Care <care@example.org>")
    return desk


def test_a_server_whose_certificate_is_trusted_gets_the_mail(
    desk: Desk, encrypting: Mailbox, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    decision = desk.decide()
    assert over_starttls(desk, encrypting).deliver(decision) is None
    assert encrypting.recipients == ["ada@example.com"]
    assert desk.ended(decision) == ("sent", "", True)


def test_a_server_whose_certificate_nobody_vouches_for_gets_nothing_and_is_asked_again(
    desk: Desk, encrypting: Mailbox
) -> None:
    decision = desk.decide()
    assert over_starttls(desk, encrypting).deliver(decision) == 5.0
    assert encrypting.recipients == []
    assert desk.entry(decision.interventions[0].intervention_id).state is State.WAITING


def test_a_server_that_does_not_encrypt_gets_nothing(desk: Desk, mailbox: Mailbox) -> None:
    assert over_starttls(desk, mailbox).deliver(desk.decide()) == 5.0
    assert mailbox.recipients == []
