import hashlib
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from server.cli import app

HEADER = "lead_id,occur_time,type,value\n"
ROWS = "anna,2026-03-01T10:00:00Z,site_visit,\nanna,2026-02-20 09:00,purchase,12.5\nben,2026-02-25,inquiry,\n"


def run(server: str, tenant: str, file: Path, *options: str) -> tuple[int, str]:
    arguments = ["events", "import", str(file), "--server", server, "--tenant", tenant, "--replay-clock", *options]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.jsonl", "e.parquet"])
def test_a_file_is_imported_once_however_often_it_is_run(server: str, tenant: str, tmp_path: Path, name: str) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_text(HEADER + ROWS)
    table = pd.read_csv(plain)
    file = tmp_path / name
    if name.endswith(".parquet"):
        table.to_parquet(file)
    elif name.endswith(".jsonl"):
        table.to_json(file, orient="records", lines=True)
    else:
        table.to_csv(file, index=False)
    code, output = run(server, tenant, file)
    assert (code, output.splitlines()[-1]) == (0, "3 recorded, 0 known already, 0 refused")
    assert run(server, tenant, file)[1].splitlines()[-1] == "0 recorded, 3 known already, 0 refused"


def position(file: Path, server: str, tenant: str, events: int) -> None:
    """Leave what an import leaves that was ended after so many events."""
    name = hashlib.blake2b(file.read_bytes() + f"{server} {tenant}".encode(), digest_size=16).hexdigest()
    file.with_name(file.name + ".imported").write_text(f"{name} {events}")


def test_an_import_goes_on_where_it_stopped(server: str, tenant: str, tmp_path: Path) -> None:
    file = tmp_path / "e.csv"
    file.write_text(HEADER + ROWS)
    position(file, server, tenant, 2)
    assert run(server, tenant, file)[1].splitlines()[-1] == "1 recorded, 0 known already, 0 refused"
    assert not (tmp_path / "e.csv.imported").exists()


def test_an_import_for_another_tenant_or_of_a_changed_file_starts_anew(
    server: str, tenant: str, tmp_path: Path
) -> None:
    file = tmp_path / "e.csv"
    file.write_text(HEADER + ROWS)
    position(file, server, tenant + "x", 2)
    assert run(server, tenant, file)[1].splitlines()[-1] == "3 recorded, 0 known already, 0 refused"
    position(file, server, tenant, 2)
    file.write_text(HEADER + ROWS + "ben,2026-02-26,call,\n")
    assert run(server, tenant, file)[1].splitlines()[-1] == "1 recorded, 3 known already, 0 refused"


def test_a_line_that_is_no_json_object_is_named(server: str, tenant: str, tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_text('{"lead_id": "a", "occur_time": "2026-03-01", "type": "login"}\n[1]\n')
    assert run(server, tenant, file) == (2, f"{file}: row 2 is not a JSON object\n")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lead_id,when\na,2026-03-01\n", "no column occur_time; the file has lead_id, when"),
        (HEADER + ROWS + "a,yesterday,site_visit,\n", "row 4, occur_time: 'yesterday' is not a time"),
        (HEADER + ROWS + "a,2026-03-01,teleport,\n", "row 4, type: 'teleport' must be one of site_visit"),
        (HEADER + ROWS + "a,2026-03-01,purchase,much\n", "row 4, value: 'much' is not a number"),
        (HEADER + ROWS + "a,2026-03-01,purchase,\n", "row 4, value: must be set: the amount of the purchase"),
        (HEADER + ROWS + "a b,2026-03-01,site_visit,\n", "row 4, lead_id: must be 1 to 128 bytes"),
        (HEADER + ROWS + "a,0001-01-01T00:00+05:00,login,\n", "row 4, occur_time: must be a time in the years 1 to"),
    ],
)
def test_a_bad_file_is_refused_by_row_and_column_and_nothing_is_sent(
    server: str, tenant: str, tmp_path: Path, text: str, fault: str
) -> None:
    file = tmp_path / "e.csv"
    file.write_text(text)
    code, output = run(server, tenant, file)
    assert code == 2
    assert fault in output
    file.write_text(HEADER + ROWS)
    assert run(server, tenant, file)[1].splitlines()[-1] == "3 recorded, 0 known already, 0 refused"


@pytest.mark.parametrize(
    ("date", "fault"),
    [("0001-01-01", "must not be more than 30 days ago"), ("9999-12-31", "must not be in the future")],
)
def test_a_date_that_stands_for_an_unknown_one_is_refused_by_the_service_alone(
    server: str, tenant: str, tmp_path: Path, date: str, fault: str
) -> None:
    file = tmp_path / "e.csv"
    file.write_text(HEADER + f"anna,{date},login,\n")
    result = CliRunner().invoke(app, ["events", "import", str(file), "--server", server, "--tenant", tenant])
    assert result.exit_code == 1
    assert result.output == f"0 recorded, 0 known already, 1 refused\n  e.csv:1: events[0].occur_time: {fault}\n"


@pytest.mark.parametrize("option", ["--event-id", "--value", "--type"])
def test_an_option_that_names_no_column_is_refused(server: str, tenant: str, tmp_path: Path, option: str) -> None:
    file = tmp_path / "e.csv"
    file.write_text(HEADER + ROWS)
    said = f"{file}: {option}: no column nocol; the file has lead_id, occur_time, type, value\n"
    assert run(server, tenant, file, option, "nocol") == (2, said)
    assert run(server, tenant, file, "--event-id", "")[1] == "3 recorded, 0 known already, 0 refused\n"


def test_a_column_that_only_a_later_row_has_is_one(server: str, tenant: str, tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    row = '{"occur_time": "2026-03-01", "lead_id": "a", "type": "login"'
    file.write_text(row + "}\n" + row + ', "key": "k"}\n')
    assert run(server, tenant, file, "--event-id", "key") == (0, "2 recorded, 0 known already, 0 refused\n")


@pytest.mark.parametrize("name", ["e.csv", "e.csv.gz", "e.parquet"])
def test_two_columns_of_one_name_are_refused(server: str, tenant: str, tmp_path: Path, name: str) -> None:
    table = pd.DataFrame([["a", "2026-03-01", "login", "b"]], columns=["lead_id", "occur_time", "type", "lead_id"])
    file = tmp_path / name
    if name.endswith(".parquet"):
        columns = [pa.array(table.iloc[:, place]) for place in range(4)]
        pq.write_table(pa.Table.from_arrays(columns, names=list(table.columns)), file)
    else:
        table.to_csv(file, index=False)
    said = f"{file}: two columns are called lead_id; each needs a name of its own\n"
    assert run(server, tenant, file) == (2, said)


def test_a_row_without_a_lead_is_refused_and_one_without_a_type_takes_the_default(
    server: str, tenant: str, tmp_path: Path
) -> None:
    file = tmp_path / "e.jsonl"
    file.write_text('{"occur_time": "2026-03-01", "lead_id": "a", "type": "login"}\n{"occur_time": "2026-03-01"}\n')
    code, output = run(server, tenant, file, "--default-type", "login")
    assert code == 2
    assert "1 of 2 rows are not events; nothing was done\nrow 2, lead_id: must be 1 to 128 bytes" in output


def test_a_number_is_no_time_as_nobody_says_what_it_counts(server: str, tenant: str, tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    rows = [
        '{"occur_time": 1772463600, "lead_id": "a", "type": "login"}',
        '{"occur_time": "2026-03-02", "lead_id": "a"}',
    ]
    file.write_text("\n".join(rows) + "\n")
    code, output = run(server, tenant, file, "--default-type", "login")
    assert code == 2
    assert "1 of 2 rows are not events; nothing was done\nrow 1, occur_time: 1772463600 is not a time\n" in output


def test_a_file_without_rows_still_needs_its_columns(server: str, tenant: str, tmp_path: Path) -> None:
    file = tmp_path / "e.csv"
    file.write_text("lead_id,when\n")
    assert run(server, tenant, file)[0] == 2
    file.write_text(HEADER)
    assert run(server, tenant, file)[1] == "0 recorded, 0 known already, 0 refused\n"
