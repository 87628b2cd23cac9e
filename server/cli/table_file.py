"""A file as a table: CSV, JSON lines (both also .gz) or Parquet. CSV cells are texts, empty ones included."""

import gzip
from pathlib import Path
from typing import Any

import orjson

FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")


class TableFileError(Exception):
    """The file cannot be used; the message names rows and columns."""


def read_table(path: Path) -> Any:
    """Return the file as a pandas data frame; raises TableFileError for one that cannot be read."""
    import pandas as pd

    name = path.name
    try:
        if name.endswith((".csv", ".csv.gz")):
            return pd.read_csv(path, dtype=str, keep_default_na=False)
        if name.endswith((".jsonl", ".jsonl.gz")):
            return pd.DataFrame(_json_lines(path))
        if name.endswith(".parquet"):
            return pd.read_parquet(path).reset_index(drop=True)
    except (OSError, ValueError) as error:
        raise TableFileError(f"{path} cannot be read: {error}") from error
    raise TableFileError(f"{path} must end with one of {', '.join(FORMATS)}")


def _json_lines(path: Path) -> list[dict[str, Any]]:
    opened = gzip.open if path.name.endswith(".gz") else open
    rows = []
    with opened(path, "rb") as lines:
        for place, line in enumerate(lines, 1):
            try:
                rows.append(dict(orjson.loads(line)))
            except (TypeError, ValueError):
                raise TableFileError(f"row {place} is not a JSON object") from None
    return rows
