"""A file of leads and the categories that they belong to, each row checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.features import CATEGORIES, FeatureError, check_category
from server.cli.event_table import SHOWN_FAULTS
from server.cli.table_file import TableFileError, read_table

NAMES = tuple(feature.name for feature in CATEGORIES)


class LeadTableError(TableFileError):
    """The table of leads cannot be used; the message names it, as it is not the file that is trained on."""


def categories_in(path: Path, lead: str) -> Mapping[str, tuple[str, ...]]:
    """Return each lead's categories by its id, in the order of the schema; "" where the file does not say.

    Args:
        path: CSV, JSON lines (both also .gz) or Parquet, with columns named as the categories; a category may have none.
        lead: The column of lead ids.

    Raises:
        LeadTableError: The file cannot be read, has no such columns, or rows are not what the schema allows; the first ten are named.

    """
    try:
        table = read_table(path)
    except TableFileError as error:
        raise LeadTableError(f"{path.name}: {error}") from error
    shown = f"the file has {', '.join(map(str, table.columns)) or 'none'}"
    if lead not in table.columns:
        raise LeadTableError(f"{path.name}: no column {lead}; {shown}")
    if not set(NAMES) & set(table.columns):
        raise LeadTableError(f"{path.name}: no column of {', '.join(NAMES)}; {shown}")
    found: dict[str, tuple[str, ...]] = {}
    faults: list[str] = []
    for number, row in enumerate(table.to_dict("records"), 1):
        try:
            who = _lead(row, lead, found)
            found[who] = tuple(_category(row, name) for name in NAMES)
        except FeatureError as error:
            faults.append(f"row {number}, {error}")
    if faults:
        raise LeadTableError("\n".join([f"{path.name}: {len(faults)} rows cannot be used", *faults[:SHOWN_FAULTS]]))
    return found


def _lead(row: dict[str, Any], column: str, before: Mapping[str, Any]) -> str:
    value = row[column]
    if _absent(value):
        raise FeatureError(f"{column}: must be set")
    if str(value) in before:
        raise FeatureError(f"{column}: {str(value)!r:.60} has a row already")
    return str(value)


def _category(row: dict[str, Any], name: str) -> str:
    value = row.get(name)
    if _absent(value):
        return ""
    if not isinstance(value, str):  # 12 could be read as "12" or "12.0", and what is served says one of them
        raise FeatureError(f"{name}: {value!r:.60} is not a text")
    try:
        check_category(name, value)
    except FeatureError as error:
        raise FeatureError(f"{name}: {value!r:.60} {error}") from None
    return value


def _absent(value: Any) -> bool:
    return value is None or value == "" or value != value  # noqa: PLR0124 (NaN)
