"""Steps of an escalation on the road: amendments of its lead's record."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from rules.escalating import is_open, overdue
from rules.lead import RaisedEscalation
from server.errors import EscalationNotFoundError, IdempotencyMismatchError
from server.road.job import Amended, Amending, LeadRecord
from server.store.effects import Effect, remember_new
from server.store.escalation_record import decode_escalation, encode_escalation
from server.store.escalations import effects_of
from server.store.keys import FINGERPRINT_BYTES, REQUEST_SECONDS, Partition, request_key

Step = Callable[[RaisedEscalation, int], RaisedEscalation]  # (as it stands, now) -> as it then stands; may raise


class EscalationStep(NamedTuple):
    """A step that somebody asked for; the answer is the escalation after it, as the index keeps it. `request_id` "": no retry is told apart."""

    lead_id: str
    escalation_id: str
    step: Step
    request_id: str
    fingerprint: bytes

    def keys(self, partition: Partition) -> Sequence[str]:
        """Return the keys of the escalation and of the request."""
        keys = [partition.escalation(self.escalation_id)]
        return [*keys, request_key(partition.tenant, self.request_id)] if self.request_id else keys

    def apply(self, partition: Partition, record: LeadRecord, now: int, known: Mapping[str, bytes]) -> Amending:
        """Return what the step comes to; raises EscalationNotFoundError, EscalationStateError, IdempotencyMismatchError."""
        before = known.get(request_key(partition.tenant, self.request_id)) if self.request_id else None
        if before is not None:
            if before[:FINGERPRINT_BYTES] != self.fingerprint:
                raise IdempotencyMismatchError
            return Amending(record, (), Amended(before[FINGERPRINT_BYTES:], replayed=True))
        case = self._case(partition, record, known)
        after = self.step(case, now)
        answer = encode_escalation(after, self.lead_id)
        noted: list[Effect] = []
        if self.request_id:
            key = request_key(partition.tenant, self.request_id)
            noted = [remember_new(key, self.fingerprint + answer, REQUEST_SECONDS)]
        if after is case:
            return Amending(record, noted, Amended(answer))
        return Amending(_with(record, after), [*noted, *effects_of(partition, self.lead_id, after)], Amended(answer))

    def _case(self, partition: Partition, record: LeadRecord, known: Mapping[str, bytes]) -> RaisedEscalation:
        case = record.state.escalation
        if case is not None and case.escalation_id == self.escalation_id:
            return case
        closed = known.get(partition.escalation(self.escalation_id))
        if closed is None:
            raise EscalationNotFoundError("there is no escalation with this id")
        return decode_escalation(closed)[0]


class OverdueStep(NamedTuple):
    """The step that follows when nobody has acknowledged it in time; the answer is empty when there was none to make."""

    lead_id: str
    held_out: bool

    def keys(self, _partition: Partition) -> Sequence[str]:
        """Return no keys."""
        return ()

    def apply(self, partition: Partition, record: LeadRecord, now: int, _known: Mapping[str, bytes]) -> Amending:
        """Return what the step comes to; nothing when somebody was faster."""
        case = record.state.escalation
        after = None if case is None else overdue(case, now, held_out=self.held_out)
        if after is None or after is case:
            return Amending(record, (), Amended(b""))
        answer = encode_escalation(after, self.lead_id)
        return Amending(_with(record, after), effects_of(partition, self.lead_id, after), Amended(answer))


def _with(record: LeadRecord, case: RaisedEscalation) -> LeadRecord:
    return replace(record, state=replace(record.state, escalation=case if is_open(case) else None))
