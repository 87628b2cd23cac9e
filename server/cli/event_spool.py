"""Events put aside on disk until all of a file is checked.

A file a day, so that they come back in the order of time with one day at once in memory.
"""

import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self

from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed
from keepwell.v1 import lead_pb2

HELD_EVENTS = 50_000
DAY_SECONDS = 86_400


class EventSpool:
    """A context: its folder is gone at the end."""

    def __init__(self) -> None:
        self.count = 0
        self._folder = tempfile.TemporaryDirectory(prefix="keepwell-import-")
        self._held: dict[int, list[lead_pb2.LeadEvent]] = {}
        self._held_count = 0
        self._days: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def add(self, event: lead_pb2.LeadEvent) -> None:
        """Put one event aside."""
        self._held.setdefault(event.occur_time.seconds // DAY_SECONDS, []).append(event)
        self._held_count += 1
        self.count += 1
        if self._held_count >= HELD_EVENTS:
            self._write()

    def events(self) -> Iterator[lead_pb2.LeadEvent]:
        """Yield all events, earliest first; those of the same instant in the order in which they were added."""
        self._write()
        for day in sorted(self._days):
            yield from sorted(self._read(day), key=lambda event: (event.occur_time.seconds, event.occur_time.nanos))

    def _write(self) -> None:
        for day, events in self._held.items():
            data = BytesIO()
            for event in events:
                serialize_length_prefixed(event, data)
            with self._path(day).open("ab") as file:
                file.write(data.getbuffer())
        self._days |= self._held.keys()
        self._held, self._held_count = {}, 0

    def _read(self, day: int) -> Iterator[lead_pb2.LeadEvent]:
        data = BytesIO(self._path(day).read_bytes())
        while (event := parse_length_prefixed(lead_pb2.LeadEvent, data)) is not None:
            yield event

    def _path(self, day: int) -> Path:
        return Path(self._folder.name) / str(day)
