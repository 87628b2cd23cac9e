"""What a field of a request has to look like. Each check notes what is wrong, by the field's path, and what is allowed."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rules.zones import zone_names
from server.errors import FieldViolation, InvalidFieldsError

ID_BYTES = 128
COUNTRY = re.compile(r"[A-Z]{2}")
CURRENCY = re.compile(r"[A-Z]{3}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECONDS = range(
    -62_135_596_800, 253_402_300_800
)  # of a Timestamp that can be told: years 1 to 9999, as its own documentation bounds it


def is_identifier(text: str) -> bool:
    """Return whether a text can be an id: 1 to 128 bytes of printable ASCII without spaces."""
    return 1 <= len(text) <= ID_BYTES and text.isascii() and text.isprintable() and " " not in text


class Checker:
    """Collects what is wrong with a request; `raise_if_any` ends the call."""

    def __init__(self) -> None:
        self.violations: list[FieldViolation] = []

    def note(self, path: str, description: str) -> None:
        """Note one bad field."""
        self.violations.append(FieldViolation(path, description))

    def raise_if_any(self) -> None:
        """Raise InvalidFieldsError when something was noted."""
        if self.violations:
            raise InvalidFieldsError(*self.violations)

    def identifier(self, path: str, text: str) -> None:
        """Check an id."""
        if not is_identifier(text):
            self.note(path, f"must be 1 to {ID_BYTES} bytes of printable ASCII without spaces")

    def text(self, path: str, text: str, longest: int) -> None:
        """Check a free text."""
        if len(text) > longest or not text.isprintable():
            self.note(path, f"must be at most {longest} printable characters")

    def matches(self, path: str, text: str, pattern: re.Pattern[str], meaning: str) -> None:
        """Check a text that may be empty, but not malformed."""
        if text and not pattern.fullmatch(text):
            self.note(path, f"must be {meaning}")

    def zone(self, path: str, name: str) -> None:
        """Check an IANA zone that may be empty."""
        if name and name not in zone_names():
            self.note(path, "must be an IANA time zone, such as America/New_York")

    def probability(self, path: str, value: float) -> None:
        """Check a probability."""
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            self.note(path, "must be a finite number in [0, 1]")

    def instant(self, path: str, time: Timestamp) -> int:
        """Return a timestamp in milliseconds since the epoch; 0 for one that no calendar has, which is noted."""
        if time.seconds in SECONDS and 0 <= time.nanos < 1_000_000_000:  # noqa: PLR2004 (nanoseconds in a second)
            return instant_of(time)
        self.note(path, "must be a time in the years 1 to 9999")
        return 0

    def amount(self, path: str, value: float) -> None:
        """Check an amount of money."""
        if not math.isfinite(value) or value < 0:
            self.note(path, "must be finite and not negative")


def check_batch(request_id: str, path: str, count: int, most: int) -> None:
    """Raise InvalidFieldsError unless a call carries a sound request id (or none) and 1 to `most` items."""
    check = Checker()
    if request_id:
        check.identifier("request_id", request_id)
    if not 1 <= count <= most:
        check.note(path, f"must be 1 to {most}")
    check.raise_if_any()


def wire(member: int) -> Any:
    """Return an enumeration's number; the contract's enumerations have the same, each with a type of its own."""
    return int(member)


def instant_of(time: Timestamp) -> int:
    """Return a timestamp in milliseconds since the epoch."""
    return time.seconds * 1_000 + time.nanos // 1_000_000


def timestamp_of(instant: int) -> Timestamp:
    """Return an instant as a timestamp."""
    return Timestamp(seconds=instant // 1_000, nanos=instant % 1_000 * 1_000_000)


def rfc3339(instant: int) -> str:
    """Return an instant as RFC 3339 text, to the millisecond."""
    return (EPOCH + timedelta(milliseconds=instant)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
