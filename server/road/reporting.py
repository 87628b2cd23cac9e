"""Outcomes on the road: one report, as an amendment of its lead's record."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from msgspec.structs import replace

from rules.outcome import Report, Reported, Standing, after_report, contact_of
from rules.vocabulary import Channel, InterventionOutcome
from server.errors import FieldViolation, IdempotencyMismatchError, InterventionNotFoundError, InvalidFieldsError
from server.road.job import Amended, Amending, LeadRecord
from server.road.recording import FUTURE_TOLERANCE_MS
from server.store.effects import Effect, append, free, remember, remember_new, take_again
from server.store.escalations import effects_of
from server.store.keys import CONTACT_SECONDS, Partition
from server.store.outcome_record import Grant, OutcomeEntry, decode_standing, encode_outcome, encode_standing

LOG_FIELD = "o"


class Located(NamedTuple):
    """Where an intervention comes from: its lead and its decision's log id; no grant when the log has let go of it."""

    lead_id: str
    log_id: str
    grant: Grant | None


class OutcomeInput(NamedTuple):
    """One report as its caller gave it; `occurred_at` None: now; `path` is where it stands in its request."""

    outcome_id: str
    intervention_id: str
    outcome: InterventionOutcome
    occurred_at: int | None
    was_sent: bool | None
    fingerprint: bytes
    payload: bytes  # the report as the log keeps it
    path: str


class OutcomeReport(NamedTuple):
    """One report on its way down the road; the answer is its channel's number, one byte, and another one if it gave the contact back."""

    given: OutcomeInput
    located: Located

    def keys(self, partition: Partition) -> Sequence[str]:
        """Return the keys of the outcome and of what is known of the intervention."""
        return partition.outcome(self.given.outcome_id), partition.intervention(self.given.intervention_id)

    def apply(self, partition: Partition, record: LeadRecord, now: int, known: Mapping[str, bytes]) -> Amending:
        """Return what the report comes to; raises IdempotencyMismatchError, InterventionNotFoundError, InvalidFieldsError."""
        outcome_key, intervention_key = self.keys(partition)
        before = known.get(outcome_key)
        if before is not None:
            if before != self.given.fingerprint:
                raise IdempotencyMismatchError("outcome_id")
            return Amending(record, (), Amended(b"", replayed=True))
        standing = decode_standing(known.get(intervention_key))
        report = self._report(record, standing, now)
        reported = after_report(record.state, standing, report, now)
        effects = [
            remember_new(outcome_key, self.given.fingerprint, CONTACT_SECONDS),
            append(partition.outcomes, LOG_FIELD, encode_outcome(self._entry(report, reported, now))),
            *self._ceilings(partition, reported),
        ]
        if reported.standing != standing:
            effects.append(remember(intervention_key, encode_standing(reported.standing), CONTACT_SECONDS))
        if reported.closed is not None:
            effects += effects_of(partition, self.located.lead_id, reported.closed)
        unchanged = reported.state is record.state
        answer = bytes([report.channel, reported.given_back is not None])
        return Amending(record if unchanged else replace(record, state=reported.state), effects, Amended(answer))

    @property
    def _contact_id(self) -> int:
        return crc32(self.given.intervention_id.encode())

    def _report(self, record: LeadRecord, standing: Standing, now: int) -> Report:
        occurred_at = now if self.given.occurred_at is None else self.given.occurred_at
        if occurred_at > now + FUTURE_TOLERANCE_MS:
            raise InvalidFieldsError(FieldViolation(f"{self.given.path}occur_time", "must not be in the future"))
        occurred_at = min(occurred_at, now)
        known = self.located.grant or contact_of(record.state, self._contact_id) or standing.given_back
        if known is None:
            raise InterventionNotFoundError("there is no intervention with this id, or it was too long ago")
        channel = Channel(known.channel)
        return Report(self._contact_id, channel, self.given.outcome, self.given.was_sent, occurred_at)

    def _entry(self, report: Report, reported: Reported, now: int) -> OutcomeEntry:
        return OutcomeEntry(
            self.given.payload,
            self.located.lead_id,
            report.channel,
            self.located.grant,
            now,
            reported.given_back is not None,
            reported.taken_again is not None,
        )

    def _ceilings(self, partition: Partition, reported: Reported) -> list[Effect]:
        """Return what the report does to the tenant-wide limits that the contact took a unit of, when the log still says which."""
        grant = self.located.grant
        if grant is None:
            return []
        taken_at = int(self.located.log_id.partition("-")[0])  # the commit's own instant, which is in the log id
        if reported.given_back is not None:
            return [free(partition, name, taken_at) for name, _ in grant.ceilings]
        if reported.taken_again is None:
            return []
        member = self.given.intervention_id
        return [
            effect
            for name, seconds in grant.ceilings
            for effect in take_again(partition, name, taken_at, member, seconds)
        ]
