"""Decide: what a batch of jobs in one partition comes to. Pure: everything it needs was gathered, nothing is written here.

Jobs for the same lead follow each other: each sees the record that the one before it left, and all land in one commit or none.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import NamedTuple

from rules.compiled import Ceiling
from rules.decide import Decider
from rules.decision import CeilingReading, Decision, Ruling, Situation
from rules.lead import LeadProfile
from server.errors import FieldViolation, IdempotencyMismatchError, InvalidFieldsError
from server.metrics import ENGINE_FAULTS
from server.road.assess import Assessed, Behaviour, Model, Row, assess, behaviour_of, merge
from server.road.day import Day
from server.road.job import Changed, Committed, DecideInput, Job, LastAssessment, LeadRecord, Outcome
from server.store.partition import Claim, DecisionWrite, LeadWrite, StoredLead
from server.store.record import DecisionInputs, decode_record, encode_inputs, encode_record

FINGERPRINT_BYTES = 16
FUTURE_TOLERANCE_MS = 60_000  # how far a caller's clock may be ahead of the store's
ESCALATION_SHARE = "escalation_share"

EncodeDecision = Callable[[Decision, Assessed], bytes]


class Policy(NamedTuple):
    """The policy that a batch is decided by; `decider` belongs to the worker thread."""

    name: str
    version: str
    source: str
    decider: Decider
    ceilings: tuple[Ceiling, ...]
    escalation_share: float


class World(NamedTuple):
    """What all leads of one partition's batch are decided under."""

    tenant: str
    policy: Policy
    model: Model
    now: int
    day: Day
    encode: EncodeDecision


class Tally:
    """Tenant-wide counts as the batch uses them up: what was read, and what the leads before this one claimed."""

    def __init__(self, readings: dict[str, CeilingReading], leads_today: int, escalated_today: int) -> None:
        self.readings = readings
        self.leads_today = leads_today
        self.escalated_today = escalated_today

    def ceilings(self, share: float, first_today: bool) -> dict[str, CeilingReading]:
        """Return the readings for the next lead; the share of escalations counts that lead in."""
        decided = self.leads_today + first_today
        # The same rounding as in commit.lua: below 1 / share leads a day, one escalation.
        allowed = max(1, int(share * decided + 1e-9))
        return {**self.readings, ESCALATION_SHARE: CeilingReading(self.escalated_today, allowed, None)}

    def take(self, ruling: Ruling) -> None:
        """Count what a ruling claims."""
        for name, amount in ruling.claims:
            if name == ESCALATION_SHARE:
                self.escalated_today += amount
            else:
                reading = self.readings[name]
                self.readings[name] = reading._replace(used=reading.used + amount)


class LeadPlan(NamedTuple):
    """What one lead's jobs come to: a write (None: nothing to write), and the outcomes once it is accepted."""

    write: LeadWrite | None
    outcomes: list[tuple[Job, Outcome]]


class LeadWork(NamedTuple):
    """One lead with its jobs, in the order in which they came."""

    lead_id: str
    stored: StoredLead
    jobs: list[Job]


def holdout_bucket(tenant: str, lead_id: str) -> float:
    """Return a lead's fixed place in [0, 100): growing a holdout keeps everybody who was in it."""
    digest = blake2b(f"{tenant}/{lead_id}".encode(), digest_size=8, person=b"holdout").digest()
    return int.from_bytes(digest) / 2**64 * 100


def check_time(request: DecideInput, now: int) -> InvalidFieldsError | None:
    """Return what is wrong with the request's own times."""
    as_of = request.features_as_of
    if as_of is not None and as_of > now + FUTURE_TOLERANCE_MS:
        return InvalidFieldsError(FieldViolation("features.as_of", "must not be in the future"))
    return None


def plan(world: World, work: Sequence[LeadWork], tally: Tally) -> list[LeadPlan]:
    """Return what to write for each lead; all are scored in one call."""
    rows, behaviours = _rows(work, world.now)
    assessed = dict(zip(rows, assess(world.model, list(rows.values()), world.now), strict=True))
    decider = world.policy.decider
    faults = decider.faults + decider.disagreements
    plans = [_LeadPlanner(world, tally, assessed, behaviours).plan(lead) for lead in work]
    ENGINE_FAULTS.inc(decider.faults + decider.disagreements - faults)
    return plans


def _rows(work: Sequence[LeadWork], now: int) -> tuple[dict[Job, Row], dict[str, LeadRecord]]:
    rows: dict[Job, Row] = {}
    records: dict[str, LeadRecord] = {}
    for lead in work:
        record = records[lead.lead_id] = decode_record(lead.stored.record)
        behaviour = behaviour_of(record)
        for job in lead.jobs:
            if job.request is not None:
                merged = merge(behaviour, job.request, now)
                rows[job] = Row(merged, job.request)
                behaviour = behaviour if job.preview else merged
    return rows, records


def overlaid(profile: LeadProfile, given: DecideInput) -> LeadProfile:
    """Return the profile after a request's own fields were laid over it."""
    fields = dict(given.profile)
    for name in ("attributes", "contacts"):
        if name in fields:
            fields[name] = {**getattr(profile, name), **fields[name]}
    return profile._replace(**fields)


def situation(
    tenant: str,
    request: DecideInput,
    record: LeadRecord,
    assessed: Assessed,
    now: int,
    ceilings: dict[str, CeilingReading],
) -> Situation:
    """Return everything that the rules may look at. The same function serves live decisions and their replay."""
    return Situation(
        request.decision_id,
        request.lead_id,
        now,
        request.cause,
        overlaid(record.profile, request),
        record.state,
        assessed.assessment,
        holdout_bucket(tenant, request.lead_id),
        ceilings,
    )


class _LeadPlanner:
    """Takes one lead through its jobs."""

    def __init__(
        self, world: World, tally: Tally, assessed: dict[Job, Assessed], records: dict[str, LeadRecord]
    ) -> None:
        self._world = world
        self._tally = tally
        self._assessed = assessed
        self._records = records
        self._decisions: list[DecisionWrite] = []
        self._rulings: list[Ruling] = []
        self._outcomes: list[tuple[Job, Outcome]] = []
        self._changed = False

    def plan(self, lead: LeadWork) -> LeadPlan:
        record = self._records[lead.lead_id]
        first_today = record.state.last_decided_at < self._world.day.start_at
        data = lead.stored.record
        for job in lead.jobs:
            after = self._step(job, record, data, first_today)
            if after is not record:
                record, data = after, encode_record(after)
        if not self._changed and not self._decisions:
            return LeadPlan(None, self._outcomes)
        if self._decisions and first_today:
            self._tally.leads_today += 1
        return LeadPlan(self._write(lead, data, bool(self._decisions) and first_today), self._outcomes)

    def _step(self, job: Job, record: LeadRecord, data: bytes, first_today: bool) -> LeadRecord:
        """Return the lead's record after one job."""
        try:
            if job.request is None:
                return self._change(job, record)
            return self._decide(job, job.request, record, data, first_today)
        except (InvalidFieldsError, IdempotencyMismatchError) as error:
            self._outcomes.append((job, error))
            return record

    def _change(self, job: Job, record: LeadRecord) -> LeadRecord:
        after = job.change(record, self._world.now) if job.change else record
        self._changed |= after is not record
        self._outcomes.append((job, Changed(after, self._world.now)))
        return after

    def _decide(self, job: Job, request: DecideInput, record: LeadRecord, data: bytes, first_today: bool) -> LeadRecord:
        world = self._world
        if error := check_time(request, world.now):
            raise error
        if earlier := self._earlier(request):
            self._outcomes.append((job, earlier))
            return record
        assessed = self._assessed[job]
        ceilings = self._tally.ceilings(world.policy.escalation_share, first_today and not self._decisions)
        facts = situation(world.tenant, request, record, assessed, world.now, ceilings)
        ruling = world.policy.decider.decide(facts)
        decision = world.encode(ruling.decision, assessed)
        hits = world.policy.version.encode() + b":" + bytes(ruling.decision.fired)
        self._outcomes.append((job, Committed(decision, hits, replayed=False)))
        if job.preview:
            return record
        inputs = encode_inputs(DecisionInputs(request, data, world.now, ceilings, world.model.fault))
        self._decisions.append(DecisionWrite(request.decision_id, request.fingerprint, decision, hits, inputs))
        self._rulings.append(ruling)
        self._tally.take(ruling)
        return _after(facts, ruling, Row(self._merged(record, request), request), assessed)

    def _merged(self, record: LeadRecord, request: DecideInput) -> Behaviour:
        return merge(behaviour_of(record), request, self._world.now)

    def _earlier(self, request: DecideInput) -> Committed | None:
        """Return the decision that an earlier job of this batch made for the same request id."""
        for written in self._decisions:
            if written.decision_id == request.decision_id:
                if written.fingerprint != request.fingerprint:
                    raise IdempotencyMismatchError
                return Committed(written.decision, written.hits, replayed=True)
        return None

    def _write(self, lead: LeadWork, record: bytes, first_today: bool) -> LeadWrite:
        holds = [ruling.holds_until for ruling in self._rulings if ruling.holds_until is not None]
        amounts: dict[str, int] = {}
        for ruling in self._rulings:
            for name, amount in ruling.claims:
                amounts[name] = amounts.get(name, 0) + amount
        escalations = amounts.pop(ESCALATION_SHARE, 0)
        return LeadWrite(
            lead.lead_id,
            lead.stored.version,
            record,
            min(holds, default=None),
            first_today,
            escalations,
            self._world.policy.escalation_share,
            [self._claim(name, amount) for name, amount in amounts.items()],
            self._decisions,
        )

    def _claim(self, name: str, amount: int) -> Claim:
        ceiling = next(ceiling for ceiling in self._world.policy.ceilings if ceiling.name == name)
        window, now = ceiling.window, self._world.now
        start = f"({now - window.length_ms}" if window.length_ms else str(window.start(now))
        lifetime_seconds = window.longest_ms // 1_000 + 86_400
        return Claim(name, amount, self._tally.readings[name].maximum, start, lifetime_seconds)


def _after(facts: Situation, ruling: Ruling, row: Row, assessed: Assessed) -> LeadRecord:
    probability, source, version, at = assessed.assessment[:4]
    behaviour = row.behaviour
    return LeadRecord(
        facts.profile,
        behaviour.numeric,
        behaviour.categories,
        behaviour.as_of,
        ruling.next_state,
        LastAssessment(probability, source, version, at),
    )
