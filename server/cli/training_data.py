"""Files to train on: an event log, as `keepwell events import` takes it, or a feature table."""

from collections.abc import Mapping, Set
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.events import CORE, EventType
from model.training.dataset import Dataset, Progress, from_history
from model.training.history import NO_CATEGORIES, History, LoggedEvent, Mark, logged
from model.training.table import from_table
from server.cli.event_table import Columns, EventRow, check_told, event_rows, faults_error, times_in
from server.cli.lead_table import LeadTableError, categories_in
from server.cli.table_file import TableFileError, read_table
from server.convert.checks import instant_of

ANY_TYPE = "login"  # stands for the type of marks, of which only lead and time are read


class LogOptions(NamedTuple):
    """How to read an event log."""

    columns: Columns
    default_type: str = ""  # type of rows without one
    arrival: str = "receive_time"  # column of the times at which events became known; when there is none, they were when they happened
    churn_event: str = ""  # type of the rows that say that a lead has left; no type of the schema
    contact_event: str = ""  # type of the rows that say that we contacted the lead; likewise
    types: Mapping[str, EventType] = CORE  # everybody's, and the tenant's own
    leads: Path | None = None  # file of the leads' categories
    told: Mapping[str, str] = MappingProxyType({})  # columns that options name, by option
    until: int | None = None  # ms; a row of a later time has not happened


def dataset_of_log(
    path: Path, options: LogOptions, horizon_days: int, silence_days: int | None, progress: Progress
) -> Dataset:
    """Return an event log's snapshots; without a silence length, with the one that the log itself tells.

    Raises:
        TableFileError: A column is missing, or rows are not events; the first ten are named.
        TrainingDataError: The log is too short, or tells no silence length.

    """
    progress("reading", 0.0)
    history = _history(path, options)
    described = {"source": "events", "file": path.name, "leads": len(history.categories)}
    if options.churn_event:
        described["churn_event"] = options.churn_event
    if options.leads:
        described["categories"] = options.leads.name
    return from_history(history, horizon_days, silence_days, described, progress)


def dataset_of_table(path: Path, horizon_days: int, seed: int) -> Dataset:
    """Return a feature table's snapshots; raises TableFileError for an unreadable file, TrainingDataError for unusable cells."""
    return from_table(read_table(path), horizon_days, seed, {"source": "table", "file": path.name})


def _history(path: Path, options: LogOptions) -> History:
    table = read_table(path)
    check_told(options.told, map(str, table.columns))
    arrived = _arrivals(table, options.arrival)
    marks = {Mark.LEFT: options.churn_event, Mark.CONTACTED: options.contact_event}
    marked = {mark: _of_type(table, options.columns.kind, kind) for mark, kind in marks.items() if kind}
    plain = ~np.any([np.zeros(len(table), dtype=bool), *marked.values()], axis=0)
    # A log has no properties, and features do not ask for any.
    types = {name: kind._replace(properties=None) for name, kind in options.types.items()}
    rows = event_rows(table[plain], path.name, options.columns, options.default_type, types)
    meant: list[tuple[EventRow, EventType | Mark]] = [(row, types[row.event.type]) for row in rows]
    for mark, chosen in marked.items():
        columns = options.columns._replace(kind="", value="")
        meant += [(row, mark) for row in event_rows(table[chosen], path.name, columns, ANY_TYPE)]
    _check_past([row for row, _ in meant], options)
    events = _once(meant, arrived)
    return logged(events, _categories(options, {event.lead for event in events}))


def _check_past(rows: list[EventRow], options: LogOptions) -> None:
    """Raise TableFileError for rows that have not happened: the log would last until then, and everybody be silent at its end."""
    if options.until is None:
        return
    ahead = [row.number for row in rows if instant_of(row.event.occur_time) > options.until]
    if ahead:
        faults = [f"row {number}, {options.columns.time}: must not be in the future" for number in sorted(ahead)]
        raise faults_error(len(ahead), len(rows), faults)


def _categories(options: LogOptions, logged_leads: Set[str]) -> Mapping[str, tuple[str, ...]]:
    if options.leads is None:
        return NO_CATEGORIES
    found = categories_in(options.leads, options.columns.lead)
    if logged_leads.isdisjoint(found):
        raise LeadTableError(f"{options.leads.name}: none of its {len(found)} leads is in the log")
    return found


def _once(meant: list[tuple[EventRow, EventType | Mark]], arrived: list[int]) -> list[LoggedEvent]:
    """Return what the rows say; of those of one lead and event id only the first to arrive counts, as when they are served."""
    found: dict[tuple[str, str], LoggedEvent] = {}
    for row, what in meant:
        name, event = (row.event.lead_id, row.event.event_id), _logged(row, what, arrived)
        before = found.setdefault(name, event)
        if (event.arrived_at, event.occurred_at) < (before.arrived_at, before.occurred_at):
            found[name] = event
    return list(found.values())


def _logged(row: EventRow, what: EventType | Mark, arrived: list[int]) -> LoggedEvent:
    return LoggedEvent(
        row.event.lead_id, what, instant_of(row.event.occur_time), arrived[row.number - 1], row.event.value
    )


def _of_type(table: Any, column: str, kind: str) -> NDArray[np.bool_]:
    found = table[column].astype(str) == kind if column in table.columns else np.zeros(len(table), dtype=bool)
    if not found.any():
        raise TableFileError(f"no row whose {column} is {kind}")
    return np.asarray(found)


def _arrivals(table: Any, column: str) -> list[int]:
    """Return each row's time of arrival in milliseconds, 0 where it is not known."""
    import pandas as pd

    if column not in table.columns:
        return [0] * len(table)
    given = table[column].replace("", None)
    times = times_in(given)
    bad = np.flatnonzero(times.isna() & given.notna())
    if len(bad):
        raise TableFileError(f"row {bad[0] + 1}, {column}: {given.iloc[bad[0]]!r} is not a time")
    return list(map(int, times.fillna(pd.Timestamp(0, tz="UTC")).dt.as_unit("ms").astype("int64")))
