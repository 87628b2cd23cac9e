"""A file of events as messages, each row checked."""

from collections.abc import Iterable, Iterator, Mapping
from numbers import Number
from pathlib import Path
from typing import Any, NamedTuple

from keepwell.v1 import lead_pb2

from model.events import CORE, EventType
from server.cli.table_file import TableFileError, table_pieces
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


def read_events(
    path: Path, columns: Columns, default_type: str, types: Mapping[str, EventType], told: Mapping[str, str]
) -> Iterator[EventRow | str]:
    """Yield each row's event, or what is wrong with the row; the file's size does not matter. `told`: as `check_told` takes it.

    Without a column of ids, an event's id is the file's name and its row: the same file gives the same ids.

    Raises:
        TableFileError: The file cannot be read, or a column is missing.

    """
    found: list[str] | None = None  # the last piece's: of JSON lines, a row may be the first with a column
    for piece in table_pieces(path):
        found = list(map(str, piece.columns))
        yield from _checked_rows(piece, path.name, columns, default_type, types)
    if found is not None:
        check_told(told, found)


def check_told(told: Mapping[str, str], found: Iterable[str]) -> None:
    """Return nothing when a file has every column that an option names; raises TableFileError with the option. "" is no column."""
    has = list(found)
    for option, column in told.items():
        if column and column not in has:
            raise TableFileError(f"{option}: no column {column}; the file has {', '.join(has)}")


def event_rows(
    table: Any, name: str, columns: Columns, default_type: str, types: Mapping[str, EventType] = CORE
) -> list[EventRow]:
    """Return a table's rows as events, in its order; its index counts the file's rows from 0.

    Raises:
        TableFileError: A column is missing, or rows are not events; every such row is counted and the first ten are named.

    """
    checked = list(_checked_rows(table, name, columns, default_type, types))
    faults = [row for row in checked if isinstance(row, str)]
    if faults:
        raise faults_error(len(faults), len(table), faults)
    return [row for row in checked if isinstance(row, EventRow)]


def faults_error(faulty: int, rows: int, faults: list[str]) -> TableFileError:
    """Return the error that counts the rows that are no events, and shows the first ten."""
    shown = "\n".join(faults[:SHOWN_FAULTS])
    return TableFileError(f"{faulty} of {rows} rows are not events; nothing was done\n{shown}")


def _checked_rows(
    table: Any, name: str, columns: Columns, default_type: str, types: Mapping[str, EventType]
) -> Iterator[EventRow | str]:
    import pandas as pd

    missing = [column for column in (columns.lead, columns.time) if column not in table.columns]
    if missing:
        raise TableFileError(f"no column {', '.join(missing)}; the file has {', '.join(map(str, table.columns))}")
    times = times_in(table[columns.time])
    for index, row, time in zip(table.index, table.to_dict("records"), times, strict=True):
        place = index + 1
        if pd.isna(time):
            yield f"row {place}, {columns.time}: {row[columns.time]!r} is not a time"
            continue
        try:
            event = _event(row, columns, default_type, f"{name}:{place}"[-128:], types)
            # As 64 bits of nanoseconds it would have to be of the years 1678 to 2262.
            seconds, micros = divmod(time.as_unit("us").asm8.view("i8").item(), 1_000_000)
            event.occur_time.seconds, event.occur_time.nanos = seconds, micros * 1_000 + time.nanosecond
            event_of("", event, types)
        except TableFileError as error:
            yield f"row {place}, {error}"
        except InvalidFieldsError as error:
            yield f"row {place}, {error.violations[0].field}: {error.violations[0].description}"
        else:
            yield EventRow(place, row, event)


def times_in(column: Any) -> Any:
    """Return a column's times in UTC, NaT for what is none. Numbers are none: pandas would take seconds for nanoseconds, and so for 1970."""
    import pandas as pd

    texts = column.map(lambda cell: None if isinstance(cell, Number) else cell)
    return pd.to_datetime(texts, utc=True, errors="coerce", format="mixed")


def _event(
    row: dict[str, Any], columns: Columns, default_type: str, event_id: str, types: Mapping[str, EventType]
) -> lead_pb2.LeadEvent:
    event = lead_pb2.LeadEvent(
        event_id=str(_said(row, columns.event_id, event_id)),
        lead_id=str(_said(row, columns.lead, "")),
        type=str(_said(row, columns.kind, default_type)),
    )
    if event.type not in types:
        raise TableFileError(f"{columns.kind}: {event.type!r:.60} must be one of {', '.join(types)}")
    value = _said(row, columns.value, None)
    if value is not None:
        try:
            event.value = float(value)
        except (TypeError, ValueError):
            raise TableFileError(f"{columns.value}: {value!r} is not a number") from None
    return event


def _said(row: dict[str, Any], column: str, otherwise: Any) -> Any:
    """Return what a row says in a column; `otherwise` when that is nothing."""
    value = row.get(column)
    unknown = value is None or value == "" or value != value  # noqa: PLR0124 (NaN)
    return otherwise if unknown else value
