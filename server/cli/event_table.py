"""A file of events as messages: CSV, JSON lines or Parquet, checked as a whole before anything is sent."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from keepwell.v1 import lead_pb2

from server.convert.event import event_of
from server.errors import InvalidFieldsError

SHOWN_FAULTS = 10
FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")


class EventFileError(Exception):
    """The file cannot be imported; the message names rows and columns."""


class Columns(NamedTuple):
    """Which column holds what; an empty name means that there is none."""

    lead: str
    time: str
    kind: str
    value: str
    event_id: str


def read_events(path: Path, columns: Columns, default_type: str) -> list[lead_pb2.LeadEvent]:
    """Return the file's events, earliest first.

    Without a column of ids, an event's id is the file's name and its row: the same file gives the same ids.

    Raises:
        EventFileError: A column is missing, or rows are not events; every such row is counted and the first ten are named.

    """
    table = _table(path)
    missing = [name for name in (columns.lead, columns.time) if name not in table.columns]
    if missing:
        raise EventFileError(f"no column {', '.join(missing)}; the file has {', '.join(map(str, table.columns))}")
    faults: list[str] = []
    events = list(_events(table, path, columns, default_type, faults))
    if faults:
        shown = "\n".join(faults[:SHOWN_FAULTS])
        raise EventFileError(f"{len(faults)} of {len(table)} rows are not events; nothing was sent\n{shown}")
    return sorted(events, key=lambda event: (event.occur_time.seconds, event.occur_time.nanos))


def _table(path: Path) -> Any:
    import pandas as pd

    name = path.name
    try:
        if name.endswith((".csv", ".csv.gz")):
            return pd.read_csv(path, dtype=str, keep_default_na=False)
        if name.endswith((".jsonl", ".jsonl.gz")):
            return pd.DataFrame(_json_lines(path))
        if name.endswith(".parquet"):
            return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise EventFileError(f"{path} cannot be read: {error}") from error
    raise EventFileError(f"{path} must end with one of {', '.join(FORMATS)}")


def _json_lines(path: Path) -> list[dict[str, Any]]:
    opened = gzip.open if path.name.endswith(".gz") else open
    rows = []
    with opened(path, "rb") as lines:
        for place, line in enumerate(lines, 1):
            try:
                rows.append(dict(orjson.loads(line)))
            except (TypeError, ValueError):
                raise EventFileError(f"row {place} is not a JSON object") from None
    return rows


def _events(
    table: Any, path: Path, columns: Columns, default_type: str, faults: list[str]
) -> Iterator[lead_pb2.LeadEvent]:
    import pandas as pd

    times = pd.to_datetime(table[columns.time], utc=True, errors="coerce", format="mixed")
    for place, (row, time) in enumerate(zip(table.to_dict("records"), times, strict=True), 1):
        if pd.isna(time):
            faults.append(f"row {place}, {columns.time}: {row[columns.time]!r} is not a time")
            continue
        try:
            event = _event(row, columns, default_type, f"{path.name}:{place}"[-128:])
            event.occur_time.FromNanoseconds(time.value)
            event_of("", event)
        except EventFileError as error:
            faults.append(f"row {place}, {error}")
        except InvalidFieldsError as error:
            faults.append(f"row {place}, {error.violations[0].field}: {error.violations[0].description}")
        else:
            yield event


def _event(row: dict[str, Any], columns: Columns, default_type: str, event_id: str) -> lead_pb2.LeadEvent:
    event = lead_pb2.LeadEvent(
        event_id=str(row.get(columns.event_id) or event_id),
        lead_id=str(row[columns.lead]),
        type=str(row.get(columns.kind) or default_type),
    )
    value = row.get(columns.value)
    if value not in (None, "") and value == value:  # noqa: PLR0124 (NaN)
        try:
            event.value = float(value)
        except (TypeError, ValueError):
            raise EventFileError(f"{columns.value}: {value!r} is not a number") from None
    return event
