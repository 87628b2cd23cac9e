"""Where exported decisions lie: `tenant=<T>/day=<YYYY-MM-DD>/<first log id>_<last log id>.parquet`, days in UTC.

A file is complete from the moment its name is there (it is renamed into place), and the names alone say what has been exported: there is no
other state that could disagree with the data.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from server.feed.token import order

SUFFIX = ".parquet"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ColdFile(NamedTuple):
    """One file, and the log ids of its first and its last decision."""

    first: str
    last: str
    path: Path


def day_of(log_id: str) -> str:
    """Return the UTC day on which an entry was committed."""
    return (EPOCH + timedelta(milliseconds=order(log_id)[0])).date().isoformat()


def path_of(root: Path, tenant: str, first: str, last: str) -> Path:
    """Return where the entries from one log id to another of the same day belong."""
    return root / f"tenant={tenant}" / f"day={day_of(first)}" / f"{first}_{last}{SUFFIX}"


def files_of(root: Path, tenant: str, day: str = "*") -> list[ColdFile]:
    """Return a tenant's files, in the order of the log."""
    found = []
    for path in (root / f"tenant={tenant}").glob(f"day={day}/*{SUFFIX}"):
        first, _, last = path.name.removesuffix(SUFFIX).partition("_")
        found.append(ColdFile(first, last, path))
    return sorted(found, key=lambda file: order(file.first))


def exported_to(root: Path, tenant: str) -> str:
    """Return the log id of the last exported decision; "0-0" when there is none."""
    days = sorted((root / f"tenant={tenant}").glob("day=*"), reverse=True)
    for day in days:
        files = files_of(root, tenant, day.name.removeprefix("day="))
        if files:
            return files[-1].last
    return "0-0"
