"""One lead's jobs, in the order in which they came: each on the record that the one before it left, and all in one write."""

from typing import Final

from msgspec.structs import astuple, replace

from rules.decide import ESCALATION_SHARE
from rules.decision import Ruling, Situation
from rules.lead import LeadState
from rules.news import is_news
from rules.vocabulary import Cause
from server.errors import IdempotencyMismatchError
from server.road.assessed import Assessed, Subject
from server.road.job import (
    Amendment,
    Changed,
    Committed,
    DecideInput,
    EventInput,
    LastAssessment,
    LeadRecord,
    Outcome,
    Recorded,
    Reviewed,
)
from server.road.recording import after_event, check_event, event_request, unsettled
from server.road.refusal import REFUSALS, check_attributes, check_time
from server.road.situation import situation
from server.road.tally import Tally
from server.road.ticket import Job
from server.road.work import LeadPlan, LeadWork
from server.road.world import World
from server.store.batch import Claim, DecisionWrite, EventWrite, LeadWrite
from server.store.effects import Effect, values_of
from server.store.escalations import effects_of_decision
from server.store.record import decode_record, encode_inputs, encode_record

BY_SCHEDULE: Final = Cause.SCHEDULE


class LeadPlanner:
    """Takes one lead through its jobs; from each step of a job to the next it holds what the job has come to."""

    job: Job
    assessed: Assessed
    ruling: Ruling
    _request: DecideInput
    _facts: Situation

    def __init__(self, world: World, tally: Tally, lead: LeadWork) -> None:
        stored = lead.stored
        self.lead = lead
        self.jobs: list[Job] = lead.jobs
        self._world = world
        self._tally = tally
        self._record = decode_record(stored.record)
        self._data: bytes | None = stored.record
        self._first_today = self._record.state.last_decided_at < world.day.start_at
        self._decisions: list[DecisionWrite] = []
        self._claimed: dict[str, int] = {}
        self._holds_until: int | None = None
        self._outcomes: list[tuple[Job, Outcome]] = []
        self._changed = False
        self._events: dict[str, EventWrite] = {}
        self._effects: list[Effect] = []
        self._unassessed: EventInput | None = None  # the newest event since the last assessment
        self.fault: LeadPlan | None = None  # set once a job failed by a fault of ours

    def prepare(self, turn: int) -> Subject | None:
        """Return what to score for a job; None when it needs no decision, and is done."""
        self.job = job = self.jobs[turn]
        request = job.request
        try:
            if request is None:
                return self._change(job, turn)
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
        return self._asking(request)

    def _asking(self, request: DecideInput) -> Subject:
        self._request = request
        return Subject(self._record, request)

    def _change(self, job: Job, turn: int) -> Subject | None:
        if job.event is not None:
            self._record_event(job, job.event)
            return self._after_events(turn)
        if job.amendment is not None:
            self._amend(job, job.amendment)
        else:
            self._look(job)
        return None

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
        event, following = self._unassessed, self.jobs[turn + 1 : turn + 2]
        if event is None or (following and following[0].event is not None):
            return None
        self._unassessed = None
        return self._asking(event_request(self._world.tenant, event))

    def _look(self, job: Job) -> None:
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

    def decide(self, assessed: Assessed) -> bool:
        """Decide the job on the record as it is now; False for an event or a review without anything new, which is done then."""
        world, policy = self._world, self._world.policy
        first_today = self._first_today and not self._decisions
        ceilings = self._tally.ceilings(policy.escalation_share, first_today)
        facts = situation(world.tenant, self._request, self._record, assessed, world.now, ceilings)
        ruling = policy.decider.decide(facts)
        self.assessed, self._facts, self.ruling = assessed, facts, ruling
        if self._is_quiet(ruling):
            self._move_on(ruling)
            return False
        if not self.job.preview:
            self._tally.leads_today += first_today
            self._tally.take(ruling)
        return True

    def write_down(self, decision: bytes) -> None:
        """Note a decision as the log will have it, and the record that it leaves; a preview leaves none."""
        made, state, holds_until, claims = astuple(self.ruling)
        hits = self._world.policy.version.encode() + b":" + bytes(made.hits)
        if self.job.event is None:
            self._outcomes.append((self.job, Committed(decision, hits, replayed=False)))
        if self.job.preview:
            return
        request, contacts, before = self._request, bool(made.interventions), self._record.state.escalation
        self._decisions.append(
            DecisionWrite(request.decision_id, request.fingerprint, decision, hits, self._inputs(request), contacts)
        )
        for claim in claims:
            self._claimed[claim.name] = self._claimed.get(claim.name, 0) + claim.amount
        if holds_until is not None:
            self._holds_until = holds_until if self._holds_until is None else min(self._holds_until, holds_until)
        if state.escalation is not before:
            self._effects += effects_of_decision(self.lead.partition, self.lead.lead_id, before, self.ruling)
        # A contact is something that the model sees.
        self._keep(self._following(state, stands=not contacts))

    def _inputs(self, request: DecideInput) -> bytes:
        world, ceilings, reused = self._world, self._facts.ceilings, self.assessed.reused
        fault, zone = world.model.fault, world.policy.decider.policy.tenant_zone
        return encode_inputs(request, self._encoded(), world.now, ceilings, fault, reused, zone)

    def _following(self, state: LeadState, *, stands: bool) -> LeadRecord:
        """Return the record that a decision leaves."""
        record, given = self._record, self.assessed.given
        return LeadRecord(
            self._facts.profile,
            given.numeric,
            given.categories,
            given.as_of,
            state,
            _last(self.assessed, stands=stands),
            record.activity,
            record.activity_at,
        )

    def _is_quiet(self, ruling: Ruling) -> bool:
        if self.job.event is not None:
            return ruling.decision.stage is self._record.state.stage
        return self._request.cause is BY_SCHEDULE and not is_news(self._record.state, ruling)

    def _move_on(self, ruling: Ruling) -> None:
        """Keep how long the risk has been lower, and when to look again, without a decision."""
        job, before, after = self.job, self._record.state, ruling.next_state
        review_at = after.next_review_at
        # An event that changes nothing must not put a review off, or a lead that is busy enough would never have one.
        if job.event is not None and review_at is not None and before.next_review_at is not None:
            review_at = min(review_at, before.next_review_at)
        state = replace(before, below_stage_since=after.below_stage_since, next_review_at=review_at)
        self._keep(replace(self._record, state=state, assessment=_last(self.assessed, stands=True)))
        if job.event is None:
            self._changed = True
            self._outcomes.append((job, Reviewed()))

    def fail(self, error: Exception) -> None:
        """Note that the job cannot be done by a fault of ours: it alone fails, and the lead's others go again without it."""
        self.fault = LeadPlan(None, [(self.job, error)], [other for other in self.jobs if other is not self.job])

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
        escalations = self._claimed.pop(ESCALATION_SHARE, 0)
        return LeadWrite(
            self.lead.lead_id,
            self.lead.stored.version,
            self._encoded(),
            self._holds_until,
            first_today,
            escalations,
            self._world.policy.escalation_share,
            [self._claim(name, amount) for name, amount in self._claimed.items()],
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
    probability, source, model_version, at, _, _ = astuple(assessed.assessment)
    return LastAssessment(probability, source, model_version, at, stands, assessed.time_to_churn)
