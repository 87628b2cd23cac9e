"""A file as a table: CSV, JSON lines (both also .gz) or Parquet. CSV cells are texts, empty ones included."""

import gzip
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

FORMATS = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
PIECE_ROWS = 20_000


class TableFileError(Exception):
    """The file cannot be used; the message names rows and columns."""


def read_table(path: Path) -> Any:
    """Return the file as a pandas data frame; raises TableFileError for one that cannot be read."""
    import pandas as pd

    pieces = list(table_pieces(path))
    return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame()


def table_pieces(path: Path) -> Iterator[Any]:
    """Yield the file as data frames of PIECE_ROWS at most, whose indices count the file's rows from 0. Raises as `read_table` does."""
    first = 0
    try:
        for piece in _pieces(path):
            piece.index = range(first, first + len(piece))
            first += len(piece)
            yield piece
    except (OSError, ValueError) as error:
        raise TableFileError(f"{path} cannot be read: {error}") from error


def _pieces(path: Path) -> Iterator[Any]:
    import pandas as pd
    from pyarrow.parquet import ParquetFile

    name = path.name
    _check_names(path)
    if name.endswith((".csv", ".csv.gz")):
        with pd.read_csv(path, dtype=str, keep_default_na=False, chunksize=PIECE_ROWS) as pieces:
            yield from pieces
    elif name.endswith((".jsonl", ".jsonl.gz")):
        yield from _json_pieces(path)
    elif name.endswith(".parquet"):
        with ParquetFile(path) as file:
            yield from (piece.to_pandas() for piece in file.iter_batches(PIECE_ROWS))
    else:
        raise TableFileError(f"{path} must end with one of {', '.join(FORMATS)}")


def _check_names(path: Path) -> None:
    """Return nothing unless two columns have one name: pandas would give the second another one, and it would be ignored."""
    import pandas as pd
    from pyarrow.parquet import read_schema

    names: list[str] = []
    if path.name.endswith((".csv", ".csv.gz")):
        names = list(pd.read_csv(path, dtype=str, keep_default_na=False, header=None, nrows=1).iloc[0])
    elif path.name.endswith(".parquet"):
        names = read_schema(path).names
    repeated = [name for name, times in Counter(names).items() if name and times > 1]
    if repeated:
        raise TableFileError(f"two columns are called {', '.join(repeated)}; each needs a name of its own")


def _json_pieces(path: Path) -> Iterator[Any]:
    import pandas as pd

    opened = gzip.open if path.name.endswith(".gz") else open
    columns: dict[str, None] = {}  # of the rows so far: a later piece may have rows without some of them
    with opened(path, "rb") as lines:
        rows = _json_rows(lines)
        while piece := list(islice(rows, PIECE_ROWS)):
            for row in piece:
                columns |= dict.fromkeys(row)
            yield pd.DataFrame(piece, columns=list(columns))


def _json_rows(lines: Any) -> Iterator[dict[str, Any]]:
    for place, line in enumerate(lines, 1):
        try:
            yield dict(orjson.loads(line))
        except (TypeError, ValueError):
            raise TableFileError(f"row {place} is not a JSON object") from None
