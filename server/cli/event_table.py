"""A file of events as messages, checked as a whole before anything is done with them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from keepwell.v1 import lead_pb2

from server.cli.table_file import TableFileError, read_table
from server.convert.event import event_of
from server.errors import InvalidFieldsError

SHOWN_FAULTS = 10


class Columns(NamedTuple):
    """Which column holds what; an empty name means that there is none."""

    lead: str
    time: str
    kind: str
    value: str
    event_id: str


class EventRow(NamedTuple):
    """A row of the file (from 1) with its cells, and the event that it is."""

    number: int
    cells: dict[str, Any]
    event: lead_pb2.LeadEvent


def read_events(path: Path, columns: Columns, default_type: str) -> list[lead_pb2.LeadEvent]:
    """Return the file's events, earliest first.

    Without a column of ids, an event's id is the file's name and its row: the same file gives the same ids.

    Raises:
        TableFileError: A column is missing, or rows are not events; every such row is counted and the first ten are named.

    """
    events = [row.event for row in event_rows(read_table(path), path.name, columns, default_type)]
    return sorted(events, key=lambda event: (event.occur_time.seconds, event.occur_time.nanos))


def event_rows(table: Any, name: str, columns: Columns, default_type: str) -> list[EventRow]:
    """Return a table's rows as events, in its order; its index counts the file's rows from 0. Raises as `read_events` does."""
    missing = [column for column in (columns.lead, columns.time) if column not in table.columns]
    if missing:
        raise TableFileError(f"no column {', '.join(missing)}; the file has {', '.join(map(str, table.columns))}")
    faults: list[str] = []
    rows = list(_rows(table, name, columns, default_type, faults))
    if faults:
        shown = "\n".join(faults[:SHOWN_FAULTS])
        raise TableFileError(f"{len(faults)} of {len(table)} rows are not events; nothing was done\n{shown}")
    return rows


def _rows(table: Any, name: str, columns: Columns, default_type: str, faults: list[str]) -> Iterator[EventRow]:
    import pandas as pd

    times = pd.to_datetime(table[columns.time], utc=True, errors="coerce", format="mixed")
    for index, row, time in zip(table.index, table.to_dict("records"), times, strict=True):
        place = index + 1
        if pd.isna(time):
            faults.append(f"row {place}, {columns.time}: {row[columns.time]!r} is not a time")
            continue
        try:
            event = _event(row, columns, default_type, f"{name}:{place}"[-128:])
            event.occur_time.FromNanoseconds(time.value)
            event_of("", event)
        except TableFileError as error:
            faults.append(f"row {place}, {error}")
        except InvalidFieldsError as error:
            faults.append(f"row {place}, {error.violations[0].field}: {error.violations[0].description}")
        else:
            yield EventRow(place, row, event)


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
            raise TableFileError(f"{columns.value}: {value!r} is not a number") from None
    return event
