"""Settings that make no sense end the program at once, each with its name and what is allowed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli import app
from server.settings import Settings

SCHEME = "redis_url: Value error, must be redis://HOST:PORT/DATABASE, rediss://HOST:PORT/DATABASE or unix:///PATH"
UNREAD = "redis_url: Value error, cannot be read: in a user's name or password, / is %2F"
DATABASE = "redis_url: Value error, must end with the number of a database, such as redis://127.0.0.1:6379/0"
SOCKET = "redis_url: Value error, must name a socket by its whole path, such as unix:///run/valkey.sock"
OPTION = "redis_url: Value error, has an option after ? that the store's client does not know"


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--listen", "50051"], {}, "listen: Value error, '50051' is not HOST:PORT, such as 127.0.0.1:50051"),
        (["--listen", "127.0.0.1:x"], {}, "listen: Value error, '127.0.0.1:x' is not HOST:PORT"),
        (["--listen", "127.0.0.1:65536"], {}, "is not HOST:PORT"),
        (["--listen", "127.0.0.1:²"], {}, "listen: Value error, '127.0.0.1:²' is not HOST:PORT"),
        (["--listen", "0.0.0.0:50051"], {}, "listen: without authentication the service listens on loopback only"),
        (["--processes", "0"], {}, "processes: Input should be greater than or equal to 1"),
        (["--processes", "65"], {}, "processes: Input should be less than or equal to 64"),
        (["--clock", "sundial"], {}, "clock: Input should be 'store' or 'manual'"),
        ([], {"KEEPWELL_TENANT_TIME_ZONE": "Mars/Base"}, "'Mars/Base' is not an IANA time zone, such as Europe/Berlin"),
        ([], {"KEEPWELL_BATCH_LEADS": "many"}, "batch_leads: Input should be a valid integer"),
        (
            [],
            {"KEEPWELL_EVENT_RETENTION_DAYS": "30"},
            "event_retention_days: Input should be greater than or equal to 31",
        ),
        (
            [],
            {"KEEPWELL_MODEL_DIR": "/nosuch"},
            "model_dir: /nosuch is no folder; name one that `keepwell train` wrote",
        ),
        ([], {"KEEPWELL_METRICS_LISTEN": "9000"}, "metrics_listen: Value error, '9000' is not HOST:PORT"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    arguments: list[str], variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["serve", "--data-dir", str(tmp_path / "data"), *arguments], env=variables)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["serve", "export"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", SCHEME),
        ("secret", SCHEME),
        ("http://:secret@store", SCHEME),
        ("redis://:se/cret@store:6379/0", UNREAD),
        ("redis://:secret#@store:6379/0", UNREAD),
        ("redis://:secret@store:65536/0", UNREAD),
        ("redis://:secret@store?db=first", UNREAD),
        ("redis://:secret@store/abc", DATABASE),
        ("redis://:secret@store/1/2", DATABASE),
        ("redis://:secret@store/-1", DATABASE),
        ("redis://:secret@store/0?foo=bar", OPTION),
        ("unix://", SOCKET),
        ("unix://secret/store.sock", SOCKET),
    ],
)
def test_a_url_that_names_no_store_is_refused_without_its_password(
    command: str, url: str, said: str, tmp_path: Path
) -> None:
    variables = {"KEEPWELL_REDIS_URL": url, "KEEPWELL_EXPORT_DIR": str(tmp_path / "export")}
    result = CliRunner().invoke(app, [command], env=variables)
    assert (result.exit_code, result.output.startswith(said)) == (2, True), result.output
    assert "cret" not in result.output


@pytest.mark.parametrize(
    "url",
    [
        "redis://store",
        "redis://store:6379/",
        "redis://user:p%2Fss@[::1]:6379/15",
        "rediss://store:6379/0?ssl_cert_reqs=none",
        "unix:///run/store.sock?db=2",
        "unix://user:secret@/run/store.sock",
    ],
)
def test_a_url_of_a_store_is_taken_as_it_is(url: str) -> None:
    assert Settings(redis_url=url).redis_url == url
