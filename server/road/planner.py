"""One lead's jobs, in the order in which they came: each on the record that the one before it left, and all in one write."""

from msgspec.structs import replace

from rules.decide import ESCALATION_SHARE
from rules.decision import Ruling
from rules.escalating import EscalationStateError
from rules.lead import MAX_ATTRIBUTES
from rules.news import is_news
from rules.vocabulary import Cause
from server.errors import (
    EscalationNotFoundError,
    FieldViolation,
    IdempotencyMismatchError,
    InterventionNotFoundError,
    InvalidFieldsError,
)
from server.road.assessed import Assessed, Subject
from server.road.job import (
    Amendment,
    Changed,
    Committed,
    DecideInput,
    EventInput,
    Job,
    LastAssessment,
    LeadRecord,
    Outcome,
    Recorded,
    Reviewed,
)
from server.road.recording import FUTURE_TOLERANCE_MS, after_event, check_event, event_request, unsettled
from server.road.situation import situation
from server.road.tally import Tally
from server.road.world import Decided, LeadPlan, LeadWork, World
from server.store.effects import Effect, values_of
from server.store.escalations import effects_of_decision
from server.store.partition import Claim, DecisionWrite, EventWrite, LeadWrite
from server.store.record import decode_record, encode_inputs, encode_record
from server.store.record_layout import DecisionInputs

# What a job may be refused for; anything else is a fault of ours.
REFUSALS = (
    InvalidFieldsError,
    IdempotencyMismatchError,
    InterventionNotFoundError,
    EscalationNotFoundError,
    EscalationStateError,
)


def check_time(request: DecideInput, now: int) -> InvalidFieldsError | None:
    """Return what is wrong with the request's own times."""
    as_of = request.features_as_of
    if as_of is not None and as_of > now + FUTURE_TOLERANCE_MS:
        return InvalidFieldsError(FieldViolation("features.as_of", "must not be in the future"))
    return None


def check_attributes(record: LeadRecord, request: DecideInput) -> InvalidFieldsError | None:
    """Return what is wrong with the request's attributes once they lie over those that are stored."""
    given = request.profile.get("attributes")
    if given and len(record.profile.attributes.keys() | given.keys()) > MAX_ATTRIBUTES:
        description = f"must be at most {MAX_ATTRIBUTES}, those that are stored included"
        return InvalidFieldsError(FieldViolation("profile.attributes", description))
    return None


class LeadPlanner:
    """Takes one lead through its jobs."""

    def __init__(self, world: World, tally: Tally, lead: LeadWork) -> None:
        self.lead = lead
        self._world = world
        self._tally = tally
        self._record = decode_record(lead.stored.record)
        self._data: bytes | None = lead.stored.record
        self._first_today = self._record.state.last_decided_at < world.day.start_at
        self._decisions: list[DecisionWrite] = []
        self._rulings: list[Ruling] = []
        self._outcomes: list[tuple[Job, Outcome]] = []
        self._changed = False
        self._events: dict[str, EventWrite] = {}
        self._effects: list[Effect] = []
        self._unassessed: EventInput | None = None  # the newest event since the last assessment
        self.fault: LeadPlan | None = None  # set once a job failed by a fault of ours

    def prepare(self, turn: int) -> Subject | None:
        """Return what to score for a job; None when it needs no decision, and is done."""
        job = self.lead.jobs[turn]
        request = job.request
        try:
            if job.event is not None:
                self._record_event(job, job.event)
                return self._after_events(turn)
            if job.amendment is not None:
                self._amend(job, job.amendment)
                return None
            if request is None:
                self._change(job)
                return None
            if error := check_time(request, self._world.now):
                raise error
            if earlier := self._earlier(request):
                self._outcomes.append((job, earlier))
                return None
            if error := check_attributes(self._record, request):
                raise error
        except REFUSALS as error:
            self._outcomes.append((job, error))
            return self._after_events(turn)
        return Subject(self._record, request)

    def _record_event(self, job: Job, event: EventInput) -> None:
        check_event(event, self._world.now)
        key = self.lead.partition.event(event.lead_id, event.event_id)
        duplicate = key in self.lead.known or key in self._events
        if not duplicate:
            self._events[key] = EventWrite(key, event.payload)
            self._keep(after_event(self._record, event, self._world.now))
            self._unassessed = event
        self._outcomes.append((job, Recorded(duplicate)))

    def _after_events(self, turn: int) -> Subject | None:
        """Return what to score once some events in a row, of which at least one was new, are through."""
        event, following = self._unassessed, self.lead.jobs[turn + 1 : turn + 2]
        if event is None or (following and following[0].event is not None):
            return None
        self._unassessed = None
        return Subject(self._record, event_request(self._world.tenant, event))

    def _change(self, job: Job) -> None:
        after = job.change(self._record, self._world.now) if job.change else self._record
        if after is not self._record:
            self._changed = True
            self._keep(unsettled(after))
        self._outcomes.append((job, Changed(after, self._world.now)))

    def _amend(self, job: Job, amendment: Amendment) -> None:
        known = {**self.lead.known, **values_of(self._effects)} if self._effects else self.lead.known
        after, effects, answer = amendment.apply(self.lead.partition, self._record, self._world.now, known)
        self._effects += effects
        if after is not self._record:
            self._changed = True
            self._keep(unsettled(after))
        self._outcomes.append((job, answer))

    def _keep(self, record: LeadRecord) -> None:
        self._record, self._data = record, None

    def _encoded(self) -> bytes:
        """Return the record as it is now; of events in a row, only the last one's is needed."""
        if self._data is None:
            self._data = encode_record(self._record)
        return self._data

    def decide(self, job: Job, request: DecideInput, assessed: Assessed) -> Decided | None:
        """Decide one job on the record as it is now; None for an event or a review without anything new, which is done then."""
        world = self._world
        first_today = self._first_today and not self._decisions
        ceilings = self._tally.ceilings(world.policy.escalation_share, first_today)
        facts = situation(world.tenant, request, self._record, assessed, world.now, ceilings)
        ruling = world.policy.decider.decide(facts)
        if self._is_quiet(job, request, ruling):
            self._move_on(job, ruling, assessed)
            return None
        if not job.preview:
            self._tally.leads_today += first_today
            self._tally.take(ruling)
        return Decided(job, request, assessed, facts, ruling)

    def write_down(self, decided: Decided, decision: bytes) -> None:
        """Note a decision as the log will have it, and the record that it leaves; a preview leaves none."""
        job, request, ruling, world = decided.job, decided.request, decided.ruling, self._world
        hits = world.policy.version.encode() + b":" + bytes(ruling.decision.hits)
        if job.event is None:
            self._outcomes.append((job, Committed(decision, hits, replayed=False)))
        if job.preview:
            return
        fault, reused, ceilings = world.model.fault, decided.assessed.reused, decided.facts.ceilings
        zone = world.policy.decider.policy.tenant_zone
        inputs = encode_inputs(DecisionInputs(request, self._encoded(), world.now, ceilings, fault, reused, zone))
        contacts = bool(ruling.decision.interventions)
        self._decisions.append(
            DecisionWrite(request.decision_id, request.fingerprint, decision, hits, inputs, contacts)
        )
        self._rulings.append(ruling)
        if ruling.next_state.escalation is not self._record.state.escalation:
            before = self._record.state.escalation
            self._effects += effects_of_decision(self.lead.partition, self.lead.lead_id, before, ruling)
        self._keep(_after(self._record, decided))

    def _is_quiet(self, job: Job, request: DecideInput, ruling: Ruling) -> bool:
        before = self._record.state
        if job.event is not None:
            return ruling.decision.stage is before.stage
        return request.cause is Cause.SCHEDULE and not is_news(before, ruling)

    def _move_on(self, job: Job, ruling: Ruling, assessed: Assessed) -> None:
        """Keep how long the risk has been lower, and when to look again, without a decision."""
        before, after = self._record.state, ruling.next_state
        review_at = after.next_review_at
        # An event that changes nothing must not put a review off, or a lead that is busy enough would never have one.
        if job.event is not None and review_at is not None and before.next_review_at is not None:
            review_at = min(review_at, before.next_review_at)
        state = replace(before, below_stage_since=after.below_stage_since, next_review_at=review_at)
        self._keep(replace(self._record, state=state, assessment=_last(assessed, stands=True)))
        if job.event is None:
            self._changed = True
            self._outcomes.append((job, Reviewed()))

    def fail(self, job: Job, error: Exception) -> None:
        """Note that a job cannot be done by a fault of ours: it alone fails, and the lead's others go again without it."""
        self.fault = LeadPlan(None, [(job, error)], [other for other in self.lead.jobs if other is not job])

    def finish(self) -> LeadPlan:
        """Return what all jobs came to."""
        if self.fault is not None:
            return self.fault
        if not (self._changed or self._decisions or self._events or self._effects):
            return LeadPlan(None, self._outcomes)
        first_today = bool(self._decisions) and self._first_today
        return LeadPlan(self._write(first_today), self._outcomes)

    def _earlier(self, request: DecideInput) -> Committed | None:
        """Return the decision that an earlier job of this batch made for the same request id."""
        for written in self._decisions:
            if written.decision_id == request.decision_id:
                if written.fingerprint != request.fingerprint:
                    raise IdempotencyMismatchError
                return Committed(written.decision, written.hits, replayed=True)
        return None

    def _write(self, first_today: bool) -> LeadWrite:
        holds = [ruling.holds_until for ruling in self._rulings if ruling.holds_until is not None]
        amounts: dict[str, int] = {}
        for ruling in self._rulings:
            for claim in ruling.claims:
                amounts[claim.name] = amounts.get(claim.name, 0) + claim.amount
        escalations = amounts.pop(ESCALATION_SHARE, 0)
        return LeadWrite(
            self.lead.lead_id,
            self.lead.stored.version,
            self._encoded(),
            min(holds, default=None),
            first_today,
            escalations,
            self._world.policy.escalation_share,
            [self._claim(name, amount) for name, amount in amounts.items()],
            self._decisions,
            list(self._events.values()),
            self._record.state.next_review_at,
            self._effects,
        )

    def _claim(self, name: str, amount: int) -> Claim:
        ceiling = next(ceiling for ceiling in self._world.policy.ceilings if ceiling.name == name)
        window, now = ceiling.window, self._world.now
        start = f"({now - window.length_ms}" if window.length_ms else str(window.start(now))
        return Claim(name, amount, self._tally.readings[name].maximum, start)


def _last(assessed: Assessed, *, stands: bool) -> LastAssessment:
    now = assessed.assessment
    return LastAssessment(
        now.churn_probability, now.source, now.model_version, now.assessed_at, stands, assessed.time_to_churn
    )


def _after(record: LeadRecord, decided: Decided) -> LeadRecord:
    given, ruling = decided.assessed.given, decided.ruling
    return LeadRecord(
        decided.facts.profile,
        given.numeric,
        given.categories,
        given.as_of,
        ruling.next_state,
        # A contact is something that the model sees.
        _last(decided.assessed, stands=not ruling.decision.interventions),
        record.activity,
        record.activity_at,
    )
