"""Where addresses come from: a file that may change, and a look-up that may fail; nobody is written to on a guess."""

import os
from pathlib import Path

import pytest
from keepwell_delivery.addresses import FileAddresses, LookedUpAddresses
from keepwell_delivery.config import ConfigError, HttpAddresses
from keepwell_delivery.receipt import TryLaterError

from tests.conftest import free_port
from tests.delivery.provider import DROP, HANG, Answer, Provider


def rewrite(path: Path, data: bytes) -> None:
    """Write a file so that its time of change is another one, however fast that is."""
    before = path.stat().st_mtime_ns
    path.write_bytes(data)
    os.utime(path, ns=(before + 1, before + 1))


async def test_a_file_has_an_address_or_none(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(
        "lead_id,email,sms\r\nanna,a@example.org,\r\nben,b@example.org\r\nçelik,ç@example.org,+1\r\n".encode()
    )
    book = FileAddresses(path)
    assert await book.find("anna", "email") == "a@example.org"
    assert await book.find("çelik", "email") == "ç@example.org"
    for lead_id, name in (("anna", "sms"), ("ben", "sms"), ("anna", "push"), ("zoe", "email")):
        assert await book.find(lead_id, name) == ""
    await book.close()


async def test_a_file_as_a_spreadsheet_writes_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"\xef\xbb\xbflead_id,email\r\nanna,a@example.org\r\n")
    assert await FileAddresses(path).find("anna", "email") == "a@example.org"


async def test_a_file_that_changes_is_read_again_and_a_broken_one_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_bytes(b"lead_id,email\nanna,old@example.org\n")
    book = FileAddresses(path)
    rewrite(path, b"lead_id,email\nanna,new@example.org\n")
    assert await book.find("anna", "email") == "new@example.org"
    rewrite(path, b"name,email\nanna,other@example.org\n")
    for _ in range(2):
        with pytest.raises(TryLaterError, match="addresses: ValueError"):
            await book.find("anna", "email")
    rewrite(path, b"lead_id,email\nanna,caf\xe9@example.org\n")
    with pytest.raises(TryLaterError, match="addresses: UnicodeDecodeError"):
        await book.find("anna", "email")
    path.unlink()
    with pytest.raises(TryLaterError, match="addresses: FileNotFoundError"):
        await book.find("anna", "email")
    path.write_bytes(b"lead_id,email\nanna,back@example.org\n")
    assert await book.find("anna", "email") == "back@example.org"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"name,email\n", "must have a column lead_id"),
        (b"", "must have a column lead_id"),
        (None, "No such file"),
        (b'lead_id,email\nanna,"' + b"a@example.org\n" * 10_000, "field larger than field limit"),
    ],
)
def test_a_file_that_cannot_be_used_ends_the_start(tmp_path: Path, data: bytes | None, fault: str) -> None:
    path = tmp_path / "people.csv"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=fault) as error:
        FileAddresses(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("answer", "address"),
    [
        (Answer(body={"address": "a@example.org"}), "a@example.org"),
        (Answer(body={"address": None}), ""),
        (Answer(body={}), ""),
        (Answer(body=["a@example.org"]), ""),
        (Answer(404), ""),
    ],
    ids=["found", "null", "without", "a list", "404"],
)
async def test_a_look_up_finds_an_address_or_none(provider: Provider, answer: Answer, address: str) -> None:
    provider.answers = [answer]
    book = LookedUpAddresses(HttpAddresses(kind="http", url=f"{provider.url}/p/{{lead_id}}/{{address}}"), 5.0)
    assert await book.find("a/b c", "email") == address
    assert provider.asked[0].path == "/p/a%2Fb%20c/email"
    assert "authorization" not in provider.asked[0].headers
    await book.close()


@pytest.mark.parametrize(
    "answer", [Answer(500), Answer(429), Answer(401), DROP, HANG], ids=["500", "429", "401", "dropped", "hangs"]
)
async def test_a_look_up_that_fails_is_tried_later(provider: Provider, answer: Answer | str) -> None:
    provider.answers = [answer]
    book = LookedUpAddresses(HttpAddresses(kind="http", url=f"{provider.url}/{{lead_id}}"), 0.5)
    with pytest.raises(TryLaterError):
        await book.find("anna", "email")
    await book.close()


async def test_a_look_up_that_nobody_answers_is_tried_later() -> None:
    book = LookedUpAddresses(HttpAddresses(kind="http", url=f"http://127.0.0.1:{free_port()}/{{lead_id}}"), 0.5)
    with pytest.raises(TryLaterError):
        await book.find("anna", "email")
    await book.close()
