"""What `keepwell train` reads: event logs, tables of leads, documents of event types, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from model.features import number_place
from server.cli.table_file import TableFileError
from server.cli.training_data import LogOptions, dataset_of_log
from server.event_types import read_event_types
from tests.integration.training import COLUMNS, HEADER, OWN_TYPES, newest, run, say_nothing

CONTACTS, INQUIRY = number_place("contacts_30"), number_place("days_since_last_inquiry")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("lead,when\na,2026-03-01\n", "no column lead_id, occur_time; the file has lead, when"),
        (HEADER + "a,2026-03-01,teleport,\n", "row 1, type: 'teleport' must be one of site_visit"),
        (HEADER + "a,2026-03-01,login,\na,never,login,\n", "row 2, occur_time: 'never' is not a time"),
        (HEADER, "the log has no events"),
        (
            HEADER + "a,2026-03-01,login,\na,2026-05-01,login,\n",
            "62 days long; a horizon of 30 days needs at least 210",
        ),
        (HEADER + "a,2025-03-01,login,\na,2026-03-01,login,\n", "the log can judge"),
        (
            HEADER + "a,1970-01-01,login,\na,2026-03-01,login,\n",
            "nobody did anything from 1970-01-01 to 2026-03-01, for more than a year",
        ),
        (HEADER + "a,2026-03-01,login,\na,9999-12-31,login,\n", "row 2, occur_time: must not be in the future"),
    ],
)
def test_a_bad_log_is_refused_and_nothing_is_written(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "log.csv"
    file.write_text(text)
    code, output = run(tmp_path / "model", "--events", file)
    assert code == 2
    assert fault in output
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def small_log(tmp_path: Path, *rows: str) -> Path:
    """Return a log of Anna and Ben, who come every five days of 2025 until November, and more rows."""
    file = tmp_path / "log.csv"
    days = pd.date_range("2025-01-01", "2025-11-01", freq="5D").strftime("%Y-%m-%d")
    visits = [f"{lead},{day},site_visit,," for lead in ("anna", "ben") for day in days]
    file.write_text("\n".join(["lead_id,occur_time,type,value,receive_time", *visits, *rows]) + "\n")
    return file


def test_a_log_may_say_who_left_and_whom_we_contacted(tmp_path: Path) -> None:
    file = small_log(tmp_path, "anna,2025-10-05,gone,,", "ben,2025-09-20,mail,,", "ben,2025-10-03,mail,,")
    plain = LogOptions(COLUMNS, churn_event="gone", contact_event="mail")
    part = newest(dataset_of_log(file, plain, 30, 42, say_nothing))
    assert part.churned.tolist() == [True, False]
    assert part.numeric[:, CONTACTS].tolist() == [0.0, 1.0]
    with pytest.raises(TableFileError, match="no row whose type is quit"):
        dataset_of_log(file, LogOptions(COLUMNS, churn_event="quit", contact_event="mail"), 30, 42, say_nothing)


def test_a_log_ends_before_what_has_not_happened_yet(tmp_path: Path) -> None:
    file = small_log(tmp_path, "anna,2025-10-29T08:00:01Z,mail,,")
    options = LogOptions(COLUMNS, contact_event="mail", until=1_761_724_800_000)  # 2025-10-29T08:00:00Z
    with pytest.raises(TableFileError, match=r"1 of 123 rows .*\nrow 123, occur_time: must not be in the future$"):
        dataset_of_log(file, options, 30, 42, say_nothing)
    options = options._replace(until=1_761_724_801_000)
    assert dataset_of_log(file, options, 30, 42, say_nothing).end == 301  # 29 October; 1 January is day 0


def test_a_number_is_no_time_of_arrival(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    log = pd.read_csv(small_log(tmp_path))
    log.assign(receive_time=1_758_787_200).to_parquet(file)
    with pytest.raises(TableFileError, match=r"row 1, receive_time: .*1758787200.* is not a time"):
        dataset_of_log(file, LogOptions(COLUMNS), 30, 42, say_nothing)


def test_an_event_that_the_log_has_twice_counts_once(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    small_log(tmp_path, "anna,2025-09-26,inquiry,,2025-09-26", "anna,2025-09-25,inquiry,,2025-09-25")
    table = pd.read_csv(file)
    table["event_id"] = [f"e{place}" for place in range(len(table))]
    table.loc[len(table) - 2 :, "event_id"] = "asked"
    pd.concat([table, table]).to_csv(file, index=False)
    by_id, by_row = COLUMNS._replace(event_id="event_id"), COLUMNS
    once, twice = (newest(dataset_of_log(file, LogOptions(each), 30, 42, say_nothing)) for each in (by_id, by_row))
    views, inquiries = number_place("page_views_30"), number_place("inquiries_90")
    assert (once.numeric[:, views].tolist(), twice.numeric[:, views].tolist()) == ([6.0, 6.0], [12.0, 12.0])
    assert (once.numeric[0, inquiries], twice.numeric[0, inquiries]) == (1.0, 4.0)
    assert once.numeric[0, INQUIRY] == 3.0  # on 25 September, which arrived first


def test_a_tenant_s_own_types_count_in_training_as_their_document_says(tmp_path: Path) -> None:
    file = small_log(tmp_path, "anna,2025-09-26,question,,", "ben,2025-09-25,newsletter,,")
    own = LogOptions(COLUMNS, types=read_event_types(OWN_TYPES))
    part = newest(dataset_of_log(file, own, 30, 42, say_nothing))
    np.testing.assert_array_equal(part.numeric[:, INQUIRY], [2.0, np.nan])
    active = part.numeric[:, number_place("active_days_7")]
    assert active.tolist() == [3.0, 2.0]  # two visits each, and Anna's question; a newsletter is nothing that Ben did


@pytest.mark.parametrize(
    ("document", "code", "fault"),
    [
        (OWN_TYPES.replace("counter: inquiries", "counter: visits"), 1, "own.yaml:3:"),
        (OWN_TYPES, 2, "row 2, type: 'teleport' must be one of site_visit"),
    ],
)
def test_a_type_that_no_document_declares_is_named_and_so_is_a_bad_document(
    tmp_path: Path, document: str, code: int, fault: str
) -> None:
    (tmp_path / "log.csv").write_text(HEADER + "a,2026-03-01,question,\na,2026-03-02,teleport,\n")
    (tmp_path / "own.yaml").write_text(document)
    found, output = run(tmp_path / "model", "--events", tmp_path / "log.csv", "--types", tmp_path / "own.yaml")
    assert (found, fault in output, (tmp_path / "model").exists()) == (code, True, False)


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("leads.csv", "lead,source\nanna,web\n", "leads.csv: no column lead_id; the file has lead, source"),
        (
            "leads.csv",
            "lead_id,origin\nanna,web\n",
            "leads.csv: no column of source, segment, region; the file has lead_id",
        ),
        ("leads.csv", "lead_id,source\nanna,web\n,web\n", "row 2, lead_id: must be set"),
        ("leads.csv", "lead_id,source\nanna,web\nanna,web\n", "row 2, lead_id: 'anna' has a row already"),
        ("leads.csv", f"lead_id,source,region\nanna,web,{'x' * 65}\n", "row 1, region: 'xxx"),
        ("leads.jsonl", '{"lead_id": "anna", "region": 12}\n', "row 1, region: 12 is not a text"),
        ("leads.csv", "lead_id,source\nzoe,web\n", "leads.csv: none of its 1 leads is in the log"),
    ],
)
def test_a_bad_table_of_leads_is_refused_by_row_and_column(tmp_path: Path, file: str, text: str, fault: str) -> None:
    log = small_log(tmp_path)
    (tmp_path / file).write_text(text)
    code, output = run(tmp_path / "model", "--events", log, "--leads", tmp_path / file)
    assert (code, fault in output, (tmp_path / "model").exists()) == (2, True, False), output


def test_the_longest_category_is_taken_and_an_empty_cell_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "leads.csv").write_text(f"lead_id,region,note\nanna,{'x' * 64},\nben,,late\n")
    options = LogOptions(COLUMNS, leads=tmp_path / "leads.csv")
    part = newest(dataset_of_log(small_log(tmp_path), options, 30, 42, say_nothing))
    assert part.categories == [("", "", "x" * 64), ("", "", "")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--leads", "FILE"], "--leads: only with --events, as it says more about an event log\n"),
        (
            ["--churn-event", "foo", "--lead", "id"],
            "--lead, --churn-event: only with --events, as it says more about an",
        ),
        (["--table", "FILE", "--type", "what"], "--type: only with --events"),
        (
            ["--table", "FILE", "--silence-days", "30"],
            "--silence-days: not with --table, whose rows are chosen already",
        ),
        (["--events", "FILE", "--simulated-leads", "2000"], "--simulated-leads: only without --events and --table"),
        (["--events", "FILE", "--arrival", "seen"], "FILE: --arrival: no column seen; the file has lead_id, source\n"),
        (["--events", "FILE", "--type", "type"], "FILE: --type: no column type; the file has lead_id, source\n"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(tmp_path: Path, options: list[str], said: str) -> None:
    file = tmp_path / "leads.csv"
    file.write_text("lead_id,source\nanna,web\n")
    code, output = run(tmp_path / "model", *(str(file) if option == "FILE" else option for option in options))
    assert (code, said.replace("FILE", str(file)) in output) == (2, True), output
    assert list(tmp_path.iterdir()) == [file]


def test_a_table_of_leads_that_cannot_be_read_is_blamed_and_not_the_log(tmp_path: Path) -> None:
    leads = tmp_path / "leads.csv"
    leads.write_bytes(b"lead_id,source\nanna,\xff\n")
    code, output = run(tmp_path / "model", "--events", small_log(tmp_path), "--leads", leads)
    assert (code, "\n--leads: leads.csv: " in output, "log.csv" in output) == (2, True, False), output


def test_what_arrived_late_is_not_seen_before_it_did(tmp_path: Path) -> None:
    rows = ["anna,2025-09-27,inquiry,,2025-09-29T10:00:00Z", "ben,2025-09-27,inquiry,,2025-09-28"]
    part = newest(dataset_of_log(small_log(tmp_path, *rows), LogOptions(COLUMNS), 30, 42, say_nothing))
    np.testing.assert_array_equal(part.numeric[:, INQUIRY], [np.nan, 1.0])
    file = small_log(tmp_path, "ben,2025-09-28,call,,soon")
    with pytest.raises(TableFileError, match="row 123, receive_time: 'soon' is not a time"):
        dataset_of_log(file, LogOptions(COLUMNS), 30, 42, say_nothing)


def test_a_small_log_is_refused_by_the_number_of_rows_that_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    days = pd.date_range("2025-03-01", "2026-03-01", freq="9D").strftime("%Y-%m-%d")
    file.write_text(HEADER + "".join(f"{lead},{day},login,\n" for lead in "abc" for day in days))
    code, output = run(tmp_path / "model", "--events", file, "--silence-days", 42)
    assert (code, "rows to train on, and at least 500 are needed" in output) == (2, True)
