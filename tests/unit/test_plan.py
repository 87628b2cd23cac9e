"""A batch is taken through each step together; what fails in one fails one job alone."""

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from model.fallback import FallbackScorer
from rules.compiler import compile_policy
from rules.decide import Decider
from rules.decision import CeilingReading, Decision
from rules.engine import EngineFaultError, RuleEngine
from rules.lead import Consent, LeadState
from rules.source import read_policy
from rules.vocabulary import ConsentState
from server.convert.decision import encode_decision
from server.policies import SHIPPED
from server.road.assessed import NO_REUSE, Assessed, Model
from server.road.compute import plan
from server.road.day import day_of
from server.road.job import Committed, DecideInput
from server.road.tally import Tally
from server.road.ticket import Job, Ticket
from server.road.work import LeadPlan, LeadWork
from server.road.world import Policy, World
from server.store.batch import NEW_LEAD
from server.store.keys import Partition
from server.store.record import decode_record

NOW = 1_772_366_400_000


def encode_all_but_bad(decision: Decision, assessed: Assessed) -> bytes:
    if decision.lead_id == "bad":
        raise ValueError("cannot be written")
    return encode_decision(decision, assessed)


def job(lead_id: str, loop: asyncio.AbstractEventLoop, *, preview: bool) -> Job:
    made = Job("t", "store", lead_id, Ticket(1, loop), 0, preview=preview)
    made.request = DecideInput(lead_id, f"decision-{lead_id}", bytes(16), churn_probability=0.2)
    return made


CALLS = """
schema: keepwell.policy/v1
name: calls
interventions:
  early_warning: [{channel: email, playbook: news}]
  active_risk: [{channel: sms, playbook: offer}, {channel: phone, playbook: call}]
  critical_risk: [{channel: phone, playbook: call}]
max_interventions: {active_risk: 2}
limits: [{name: calls, scope: tenant, channel: phone, max: 5, window: {calendar: day, time_zone: tenant}}]
quiet_hours:
  - {channels: [sms], local: "15:00-16:00", when_blocked: defer}
  - {channels: [phone], local: "18:00-19:00", when_blocked: defer}
unknown_time_zone: tenant
"""


def failed_jobs() -> float:
    return REGISTRY.get_sample_value("keepwell_failed_jobs_total") or 0.0


def change_that_cannot_be_written(loop: asyncio.AbstractEventLoop) -> Job:
    said = LeadState(consent={1: Consent(ConsentState.WITHDRAWN, "call", -(2**70))})
    return Job("t", "store", "big", Ticket(1, loop), 0, change=lambda record, _now: replace(record, state=said))


def planned(*lead_ids: str, tally: Tally, preview: bool = False) -> list[LeadPlan]:
    loop = asyncio.new_event_loop()
    jobs = {name: [job(name, loop, preview=preview)] for name in lead_ids}
    if "big" in lead_ids:
        jobs["big"] = [change_that_cannot_be_written(loop)]
    try:
        return planned_jobs(jobs, tally)
    finally:
        loop.close()


def planned_jobs(jobs: dict[str, list[Job]], tally: Tally, policy: str = SHIPPED.read_text()) -> list[LeadPlan]:
    decider = Decider(compile_policy(read_policy(policy), "v"))
    world = World(
        "t", Policy("p", "v", "", decider, decider.policy.ceilings, 0.05), Model(FallbackScorer()), NOW, day_of(NOW, "UTC"),
        encode_all_but_bad, NO_REUSE,
    )  # fmt: skip
    try:
        return plan(
            world, [LeadWork(name, NEW_LEAD, each, Partition("t", 0), {}) for name, each in jobs.items()], tally
        )
    finally:
        decider.close()


def test_a_decision_that_cannot_be_encoded_fails_alone() -> None:
    first, bad, last = planned("first", "bad", "last", tally=Tally({}, 0, 0))
    for lead, name in ((first, "first"), (last, "last")):
        assert lead.write is not None
        assert [written.decision_id for written in lead.write.decisions] == [f"decision-{name}"]
        assert isinstance(lead.outcomes[0][1], Committed)
    assert bad.write is None
    assert [str(outcome) for _, outcome in bad.outcomes] == ["cannot be written"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"profile": {"attributes": 5}}, AttributeError),  # in preparing
        ({"categories": ("",)}, ValueError),  # in assessing
        ({"profile": {"shoe_size": 5}}, TypeError),  # in deciding
        ({"profile": {"owner": 2**70}}, OverflowError),  # in writing down
    ],
)
def test_a_fault_in_any_step_fails_one_job_and_the_leads_others_go_again(
    fault: dict[str, Any], error: type[Exception]
) -> None:
    loop, failed_before = asyncio.new_event_loop(), failed_jobs()
    first, bad, other, last = (job(name, loop, preview=False) for name in ("first", "faulty", "faulty", "last"))
    assert bad.request is not None
    bad.request = replace(bad.request, decision_id="bad", **fault)
    plans = planned_jobs({"first": [first], "faulty": [other, bad], "last": [last]}, Tally({}, 0, 0))
    loop.close()
    assert [lead.write is not None for lead in plans] == [True, False, True]
    assert [(of, type(outcome)) for of, outcome in plans[1].outcomes] == [(bad, error)]
    assert plans[1].again == [other]
    assert failed_jobs() == failed_before + 1


def test_two_decisions_of_a_lead_claim_what_both_take_and_hold_until_the_first_of_them_ends() -> None:
    loop = asyncio.new_event_loop()
    jobs = [job("lead", loop, preview=False) for _ in range(2)]
    for place, probability in enumerate((0.7, 0.9)):
        request = jobs[place].request
        assert request is not None
        jobs[place].request = replace(request, decision_id=f"d{place}", churn_probability=probability)
    tally = Tally({"calls": CeilingReading(1, 5, None)}, 0, 0)
    (lead,) = planned_jobs({"lead": jobs}, tally, CALLS)
    loop.close()
    assert lead.write is not None
    assert [written.contacts for written in lead.write.decisions] == [True, True]
    assert [(claim.name, claim.amount, claim.maximum) for claim in lead.write.claims] == [("calls", 2, 5)]
    assert lead.write.valid_until == NOW + 3 * 3_600_000
    assert tally.readings["calls"].used == 3


@pytest.mark.parametrize(("probability", "stands"), [(0.7, False), (0.2, True)])
def test_an_assessment_stands_until_a_contact_changes_what_a_model_sees(probability: float, stands: bool) -> None:
    loop = asyncio.new_event_loop()
    asking = job("lead", loop, preview=False)
    loop.close()
    assert asking.request is not None
    asking.request = replace(asking.request, churn_probability=probability)
    (lead,) = planned_jobs({"lead": [asking]}, Tally({"calls": CeilingReading(1, 5, None)}, 0, 0), CALLS)
    assert lead.write is not None
    last = decode_record(lead.write.record).assessment
    assert last is not None
    assert (last.churn_probability, last.stands) == (probability, stands)


def test_a_record_that_cannot_be_written_fails_alone() -> None:
    first, big, last = planned("first", "big", "last", tally=Tally({}, 0, 0))
    assert [lead.write is not None for lead in (first, big, last)] == [True, False, True]
    assert [type(outcome) for _, outcome in big.outcomes] == [OverflowError]


def test_a_rule_engine_that_fails_is_logged_with_how_many_decisions_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise EngineFaultError("no")

    monkeypatch.setattr(RuleEngine, "fired", refuse)
    with capture_logs() as lines:
        plans = planned("first", "last", tally=Tally({}, 0, 0))
    assert all(lead.write is not None for lead in plans)
    assert [(line["event"], line["decisions"], line["log_level"]) for line in lines] == [
        ("rule_engine_failed", 2, "error")
    ]
    with capture_logs() as lines:
        monkeypatch.undo()
        planned("first", tally=Tally({}, 0, 0))
    assert lines == []


def test_a_preview_counts_for_nobody() -> None:
    tally = Tally({}, 0, 0)
    (previewed,) = planned("lead", tally=tally, preview=True)
    assert (previewed.write, tally.leads_today) == (None, 0)
    planned("lead", tally=tally)
    assert tally.leads_today == 1
