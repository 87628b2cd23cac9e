"""Changes of leads that a caller asks for under a request id: each is made once, in one step with the note that it was."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from server.errors import IdempotencyMismatchError
from server.road.job import Amended, Amending, Change, LeadRecord
from server.store.effects import remember_new
from server.store.keys import REQUEST_SECONDS, Partition


class ChangeOnce(NamedTuple):
    """A change, and the key by which its repetition is known ("": it is made again). Made again after a later one, it would undo that."""

    change: Change
    key: str
    fingerprint: bytes

    def keys(self, _partition: Partition) -> Sequence[str]:
        """Return the key of the request."""
        return [self.key] if self.key else []

    def apply(self, _partition: Partition, record: LeadRecord, now: int, known: Mapping[str, bytes]) -> Amending:
        """Return what the change comes to; raises what it raises, and IdempotencyMismatchError."""
        before = known.get(self.key)
        if before is not None:
            if before != self.fingerprint:
                raise IdempotencyMismatchError
            return Amending(record, (), Amended(b"", replayed=True))
        noted = [remember_new(self.key, self.fingerprint, REQUEST_SECONDS)] if self.key else []
        return Amending(self.change(record, now), noted, Amended(b""))
