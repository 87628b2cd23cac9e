"""Settings that make no sense end the program at once, each with its name and what is allowed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.cli import app


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["--listen", "50051"], {}, "listen: Value error, '50051' is not HOST:PORT, such as 127.0.0.1:50051"),
        (["--listen", "127.0.0.1:x"], {}, "listen: Value error, '127.0.0.1:x' is not HOST:PORT"),
        (["--listen", "127.0.0.1:65536"], {}, "is not HOST:PORT"),
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
        ([], {"KEEPWELL_METRICS_LISTEN": "9000"}, "metrics_listen: Value error, '9000' is not HOST:PORT"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(
    arguments: list[str], variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, ["serve", "--data-dir", str(tmp_path / "data"), *arguments], env=variables)
    assert (result.exit_code, said in result.output) == (2, True), result.output
    assert list(tmp_path.iterdir()) == []
