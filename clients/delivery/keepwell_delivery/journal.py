"""What was begun and how it ended, on disk: why a decision that is handed out again, after a crash or otherwise, contacts nobody twice.

A row is written before a send and after it, each time synced. Every worker of a subscription has to use the same file, so they run on one
machine; subscriptions with other channels can have other files elsewhere. The key is an intervention's id, or a notice's.
"""

import sqlite3
import threading
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

_SCHEMA = """
CREATE TABLE IF NOT EXISTS contact (
    key TEXT PRIMARY KEY,       -- intervention id, or escalation id and level
    state TEXT NOT NULL,        -- as State
    attempts INTEGER NOT NULL,  -- sends begun
    busy_until REAL NOT NULL,   -- seconds since 1970; no send is under way after it
    uncertain INTEGER NOT NULL, -- 1: an earlier attempt may have been sent
    outcome BLOB NOT NULL,      -- the serialised Outcome, once there is one
    reported INTEGER NOT NULL,  -- 1: the service has acknowledged the outcome
    updated REAL NOT NULL       -- seconds since 1970
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS contact_by_age ON contact (updated);
"""


class State(StrEnum):
    """Where a contact stands."""

    BEGUN = "begun"  # a send is, or was, under way
    WAITING = "waiting"  # not sent, to be tried again
    SENT = "sent"
    FAILED = "failed"  # not sent, and never will be
    UNKNOWN = "unknown"  # perhaps sent; final once it has an outcome


class Entry(NamedTuple):
    """A contact's row."""

    state: State
    attempts: int
    busy_until: float
    uncertain: bool
    outcome: bytes
    reported: bool

    @property
    def is_final(self) -> bool:
        """Whether nothing is to be sent any more."""
        return bool(self.outcome)


class Journal:
    """The rows of one file; safe for threads, and for processes on one machine.

    Args:
        path: The file; made when missing.

    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = FULL")  # a row outlives a power cut once its method has returned
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def entry(self, key: str) -> Entry | None:
        """Return how a contact stands; None when it was never begun."""
        columns = "state, attempts, busy_until, uncertain, outcome, reported"
        with self._lock:
            row = self._database.execute(f"SELECT {columns} FROM contact WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        state, attempts, busy_until, uncertain, outcome, reported = row
        return Entry(State(state), attempts, busy_until, bool(uncertain), outcome, bool(reported))

    def begin(self, key: str, seen: Entry | None, now: float, busy_until: float) -> bool:
        """Note that a send begins; False when somebody else has changed the row since it was `seen`, and then nothing may be sent."""
        with self._lock:
            if seen is None:
                changed = self._database.execute(
                    "INSERT INTO contact VALUES (?, 'begun', 1, ?, 0, x'', 0, ?) ON CONFLICT DO NOTHING",
                    (key, busy_until, now),
                )
            else:
                changed = self._database.execute(
                    "UPDATE contact SET state = 'begun', attempts = attempts + 1, busy_until = ?, updated = ?,"
                    " uncertain = uncertain OR state = 'begun'"  # whoever began it before did not live to say how it ended
                    " WHERE key = ? AND state = ? AND attempts = ? AND outcome = x''",
                    (busy_until, now, key, seen.state, seen.attempts),
                )
            return changed.rowcount == 1

    def wait(self, key: str, now: float, *, uncertain: bool) -> None:
        """Note that a send has ended without success, and is to be tried again."""
        with self._lock:
            self._database.execute(
                "UPDATE contact SET state = ?, uncertain = uncertain OR ?, busy_until = 0, updated = ? WHERE key = ?",
                (State.UNKNOWN if uncertain else State.WAITING, uncertain, now, key),
            )

    def finish(self, key: str, state: State, outcome: bytes, now: float, *, reported: bool) -> Entry:
        """Note how it ended, once and for all; return what stands, which is an earlier end if there is one."""
        with self._lock:
            self._database.execute(
                "INSERT INTO contact VALUES (?, ?, 0, 0, 0, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state,"
                " outcome = excluded.outcome, reported = excluded.reported, busy_until = 0, updated = excluded.updated"
                " WHERE outcome = x''",
                (key, state, outcome, reported, now),
            )
        standing = self.entry(key)
        if standing is None:
            raise LookupError(key)
        return standing

    def reported(self, keys: list[str]) -> None:
        """Note that the service has the outcomes."""
        with self._lock:
            self._database.executemany("UPDATE contact SET reported = 1 WHERE key = ?", [(key,) for key in keys])

    def unreported(self) -> list[tuple[str, bytes]]:
        """Return keys and outcomes that the service has not acknowledged yet, oldest first."""
        with self._lock:
            return self._database.execute(
                "SELECT key, outcome FROM contact WHERE outcome != x'' AND NOT reported ORDER BY updated LIMIT 1000"
            ).fetchall()

    def forget(self, before: float) -> None:
        """Drop what ended and was reported before that time, in seconds since 1970."""
        with self._lock:
            self._database.execute("DELETE FROM contact WHERE reported AND updated < ?", (before,))
