import uuid
from typing import cast

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import (
    decision_service_pb2_grpc,
    lead_pb2,
    lead_service_pb2,
    lead_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from redis import Redis

from server.store.keys import TENANTS_KEY

NOON = "2026-03-03T17:00:00Z"  # in New York
NEW_YORK = lead_pb2.LeadProfile(time_zone="America/New_York", country="US", value=500_000, currency="USD")


def call(tenant: str, now: str = NOON) -> tuple[tuple[str, str], ...]:
    return (("x-keepwell-tenant", tenant), ("x-keepwell-now", now))


def asking(probability: float = 0.5, lead_id: str = "lead-1", **fields: object) -> messages.DecideRequest:
    fields.setdefault("request_id", uuid.uuid4().hex)
    fields.setdefault("profile", NEW_YORK)
    return messages.DecideRequest(lead_id=lead_id, churn_probability=probability, **fields)  # type: ignore[arg-type]


def refusal(error: grpc.RpcError) -> tuple[str, str, list[str]]:
    """Return status, reason and the paths of the bad fields."""
    reason, fields = "", []
    for detail in rpc_status.from_call(cast("grpc.Call", error)).details:
        info, bad = ErrorInfo(), BadRequest()
        if detail.Unpack(info):
            assert info.domain == "keepwell"
            reason = info.reason
        elif detail.Unpack(bad):
            fields = [violation.field for violation in bad.field_violations]
    return error.code().name, reason, fields


@pytest.fixture
def decisions(channel: grpc.Channel) -> decision_service_pb2_grpc.DecisionServiceStub:
    return decision_service_pb2_grpc.DecisionServiceStub(channel)


def test_a_lead_in_early_warning_gets_an_email(decisions, tenant):  # type: ignore[no-untyped-def]
    decision = decisions.Decide(asking(0.5), metadata=call(tenant)).decision
    assert decision.verdict == pb.VERDICT_CONTACT
    assert decision.assessment.stage == pb.INTERVENTION_STAGE_EARLY_WARNING
    assert [(i.channel, i.playbook) for i in decision.interventions] == [
        (pb.INTERVENTION_CHANNEL_EMAIL, "personalised_content")
    ]
    assert decision.decided_at.ToJsonString() == NOON
    assert decision.policy_name == "default"


@pytest.mark.parametrize(
    ("probability", "stage"),
    [(0.3, 1), (0.30000001, 2), (0.6, 2), (0.60000001, 3), (0.8, 3), (0.80000001, 4), (0, 1), (1, 4)],
)
def test_the_bound_itself_belongs_to_the_lower_stage(decisions, tenant, probability, stage):  # type: ignore[no-untyped-def]
    assert decisions.Preview(asking(probability), metadata=call(tenant)).decision.assessment.stage == stage


def test_every_rule_of_the_policy_stands_in_the_trace(decisions, tenant):  # type: ignore[no-untyped-def]
    trace = {
        entry.rule: entry.outcome for entry in decisions.Decide(asking(0.5), metadata=call(tenant)).decision.rule_trace
    }
    assert trace["stage.early_warning"] == pb.RULE_OUTCOME_HIT
    assert trace["stage.active_risk"] == pb.RULE_OUTCOME_NO_HIT
    assert trace["limit.email_daily"] == pb.RULE_OUTCOME_NO_HIT


def test_the_same_request_answers_the_same_decision(decisions, tenant):  # type: ignore[no-untyped-def]
    request = asking(0.5, request_id="once")
    first = decisions.Decide(request, metadata=call(tenant))
    again = decisions.Decide(request, metadata=call(tenant))
    assert (first.replayed, again.replayed) == (False, True)
    assert first.decision == again.decision


def test_the_same_id_for_another_request_is_refused(decisions, tenant):  # type: ignore[no-untyped-def]
    decisions.Decide(asking(0.5, request_id="once"), metadata=call(tenant))
    with pytest.raises(grpc.RpcError) as error:
        decisions.Decide(asking(0.6, request_id="once"), metadata=call(tenant))
    assert refusal(error.value) == ("FAILED_PRECONDITION", "IDEMPOTENCY_MISMATCH", [])


def test_a_preview_uses_nothing_up(decisions, tenant):  # type: ignore[no-untyped-def]
    for _ in range(3):
        assert decisions.Preview(asking(0.5), metadata=call(tenant)).decision.verdict == pb.VERDICT_CONTACT
    assert not decisions.ListDecisions(messages.ListDecisionsRequest(lead_id="lead-1"), metadata=call(tenant)).decisions


def test_the_next_email_goes_out_exactly_when_the_answer_said(decisions):  # type: ignore[no-untyped-def]
    lead = uuid.uuid4().hex
    metadata = [call("three_a_day", f"2030-01-01T00:00:0{second}Z") for second in range(4)]
    verdicts = [decisions.Decide(asking(0.5, lead), metadata=each).decision for each in metadata]
    assert [d.verdict for d in verdicts] == [pb.VERDICT_CONTACT] * 3 + [pb.VERDICT_DEFER]
    blocked = verdicts[-1].suppressions[0]
    assert (blocked.observed, blocked.limit) == (3, 3)
    assert blocked.next_eligible_time.ToJsonString() == "2030-01-02T00:00:00Z"
    before = decisions.Decide(asking(0.5, lead), metadata=call("three_a_day", "2030-01-01T23:59:59.999Z"))
    assert before.decision.verdict == pb.VERDICT_DEFER
    after = decisions.Decide(asking(0.5, lead), metadata=call("three_a_day", "2030-01-02T00:00:00Z"))
    assert after.decision.verdict == pb.VERDICT_CONTACT


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (asking(lead_id=""), "lead_id"),
        (asking(lead_id="x" * 129), "lead_id"),
        (asking(lead_id="a b"), "lead_id"),
        (asking(request_id="x" * 129), "request_id"),
        (asking(1.0000001), "churn_probability"),
        (asking(-0.1), "churn_probability"),
        (asking(float("nan")), "churn_probability"),
        (asking(features=pb.Features(numbers={"shoe_size": 1})), 'features.numbers["shoe_size"]'),
        (asking(features=pb.Features(numbers={"tenure_days": float("inf")})), 'features.numbers["tenure_days"]'),
        (asking(features=pb.Features(numbers={"active_days_7": 8})), 'features.numbers["active_days_7"]'),
        (asking(features=pb.Features(categories={"tenure_days": "1"})), 'features.categories["tenure_days"]'),
        (asking(profile=lead_pb2.LeadProfile(time_zone="Mars/Olympus")), "profile.time_zone"),
        (asking(profile=lead_pb2.LeadProfile(country="usa")), "profile.country"),
        (
            asking(features=pb.Features(numbers={"tenure_days": 1}, as_of=Timestamp(seconds=4_000_000_000))),
            "features.as_of",
        ),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_written(decisions, tenant, request_, field):  # type: ignore[no-untyped-def]
    with pytest.raises(grpc.RpcError) as error:
        decisions.Decide(request_, metadata=call(tenant))
    assert refusal(error.value) == ("INVALID_ARGUMENT", "INVALID_FIELD", [field])
    assert not decisions.ListDecisions(messages.ListDecisionsRequest(lead_id="lead-1"), metadata=call(tenant)).decisions


def test_a_bad_item_harms_neither_its_message_nor_its_stream(decisions, tenant):  # type: ignore[no-untyped-def]
    good = [asking(0.5, f"lead-{n}", request_id=f"r{n}") for n in range(3)]
    bad = asking(2.0, "lead-x", request_id="bad")
    portfolio = [
        messages.DecideStreamRequest(requests=[good[0], bad, good[1]]),
        messages.DecideStreamRequest(requests=[good[2]]),
    ]
    results = {
        r.request_id: r
        for answer in decisions.DecideStream(iter(portfolio), metadata=call(tenant))
        for r in answer.results
    }
    assert sorted(results) == ["bad", "r0", "r1", "r2"]
    assert results["bad"].error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert all(results[f"r{n}"].decision.verdict == pb.VERDICT_CONTACT for n in range(3))


def test_every_decision_can_be_made_again(decisions, tenant):  # type: ignore[no-untyped-def]
    features = pb.Features(
        numbers={"days_since_last_activity": 30, "active_days_30": 1}, categories={"source": "portal"}
    )
    asked = [
        asking(0.9),
        messages.DecideRequest(lead_id="lead-1", features=features, explain=True),
        asking(0.4),
        asking(0.1),
    ]
    for request in asked:
        decision = decisions.Decide(request, metadata=call(tenant)).decision
        response = decisions.VerifyDecision(
            messages.VerifyDecisionRequest(decision_id=decision.decision_id), metadata=call(tenant)
        )
        assert response.match, response.mismatches


def test_a_decision_is_found_by_its_id_and_in_its_leads_list(decisions, tenant):  # type: ignore[no-untyped-def]
    made = [decisions.Decide(asking(p), metadata=call(tenant)).decision for p in (0.1, 0.4, 0.7)]
    got = decisions.GetDecision(messages.GetDecisionRequest(decision_id=made[1].decision_id), metadata=call(tenant))
    assert got == made[1]
    page = decisions.ListDecisions(messages.ListDecisionsRequest(lead_id="lead-1", page_size=2), metadata=call(tenant))
    assert list(page.decisions) == [made[2], made[1]]
    rest = decisions.ListDecisions(
        messages.ListDecisionsRequest(lead_id="lead-1", page_size=2, page_token=page.next_page_token),
        metadata=call(tenant),
    )
    assert list(rest.decisions) == [made[0]]
    assert rest.next_page_token == ""


def test_another_tenants_decision_is_not_found(decisions, tenant):  # type: ignore[no-untyped-def]
    mine = decisions.Decide(asking(0.5), metadata=call(tenant)).decision
    with pytest.raises(grpc.RpcError) as error:
        decisions.GetDecision(messages.GetDecisionRequest(decision_id=mine.decision_id), metadata=call(tenant + "x"))
    assert refusal(error.value) == ("NOT_FOUND", "DECISION_NOT_FOUND", [])


def test_after_consent_is_withdrawn_the_channel_is_never_granted(decisions, channel, tenant):  # type: ignore[no-untyped-def]
    leads = lead_service_pb2_grpc.LeadServiceStub(channel)
    withdrawn = lead_service_pb2.SetConsentRequest(
        lead_id="lead-1", channel=pb.INTERVENTION_CHANNEL_EMAIL, state=lead_pb2.CONSENT_STATE_WITHDRAWN, source="link"
    )
    leads.SetConsent(withdrawn, metadata=call(tenant))
    decision = decisions.Decide(asking(0.5), metadata=call(tenant)).decision
    assert pb.INTERVENTION_CHANNEL_EMAIL not in [i.channel for i in decision.interventions]
    assert pb.REASON_CODE_OPTED_OUT in [s.reason for s in decision.suppressions]


def test_an_older_word_does_not_undo_a_newer_one(channel, tenant):  # type: ignore[no-untyped-def]
    leads = lead_service_pb2_grpc.LeadServiceStub(channel)
    for state, seconds in ((lead_pb2.CONSENT_STATE_WITHDRAWN, 2_000), (lead_pb2.CONSENT_STATE_GRANTED, 1_000)):
        request = lead_service_pb2.SetConsentRequest(
            lead_id="lead-1", all=True, state=state, occur_time=Timestamp(seconds=seconds)
        )
        answer = leads.SetConsent(request, metadata=call(tenant))
    assert {c.state for c in answer.consent} == {lead_pb2.CONSENT_STATE_WITHDRAWN}
    assert len(answer.consent) == 7


def test_profiles_that_are_refused_do_not_harm_the_others(channel, tenant):  # type: ignore[no-untyped-def]
    leads = lead_service_pb2_grpc.LeadServiceStub(channel)
    good = lead_pb2.LeadProfile(lead_id="good", time_zone="Europe/Berlin", attributes={"vip": "true"})
    bad = lead_pb2.LeadProfile(lead_id="bad", time_zone="Mars/Olympus")
    answer = leads.UpsertLeads(lead_service_pb2.UpsertLeadsRequest(leads=[bad, good]), metadata=call(tenant))
    assert (answer.upserted, [r.index for r in answer.rejected]) == (1, [0])
    view = leads.GetLead(lead_service_pb2.GetLeadRequest(lead_id="good"), metadata=call(tenant))
    assert view.profile == good
    with pytest.raises(grpc.RpcError) as error:
        leads.UpsertLeads(lead_service_pb2.UpsertLeadsRequest(leads=[bad]), metadata=call(tenant))
    assert refusal(error.value) == ("INVALID_ARGUMENT", "INVALID_FIELD", ["leads[0].time_zone"])


def test_a_view_shows_what_is_left_and_uses_nothing_up(decisions, channel, tenant):  # type: ignore[no-untyped-def]
    leads = lead_service_pb2_grpc.LeadServiceStub(channel)
    decisions.Decide(asking(0.5), metadata=call(tenant))
    for _ in range(2):
        view = leads.GetLead(lead_service_pb2.GetLeadRequest(lead_id="lead-1"), metadata=call(tenant))
        daily = next(h for h in view.headroom if h.limit_name == "email_daily")
        assert (daily.used, daily.limit, daily.next_eligible_time.ToJsonString()) == (1, 1, "2026-03-04T17:00:00Z")


def test_a_method_of_a_later_version_says_so(channel, tenant):  # type: ignore[no-untyped-def]
    policies = policy_service_pb2_grpc.PolicyServiceStub(channel)
    with pytest.raises(grpc.RpcError) as error:
        policies.ValidatePolicy(policy_service_pb2.ValidatePolicyRequest(), metadata=call(tenant))
    assert refusal(error.value) == ("UNIMPLEMENTED", "NOT_SERVED", [])


def test_bytes_that_are_no_message_are_the_callers_fault(channel, tenant):  # type: ignore[no-untyped-def]
    raw = channel.unary_unary("/keepwell.v1.DecisionService/Decide")
    with pytest.raises(grpc.RpcError) as error:
        raw(b"\xff\xff\xff", metadata=call(tenant))
    assert refusal(error.value) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST", [])


def test_a_call_for_two_tenants_is_refused(decisions, tenant):  # type: ignore[no-untyped-def]
    with pytest.raises(grpc.RpcError) as error:
        decisions.Decide(asking(), metadata=(*call(tenant), ("x-keepwell-tenant", "other")))
    assert refusal(error.value) == ("INVALID_ARGUMENT", "TENANT_INVALID", [])


def test_a_lead_has_so_many_attributes_however_they_came_in(decisions, tenant):  # type: ignore[no-untyped-def]
    def told(first: int, last: int) -> messages.DecideRequest:
        attributes = {f"a{number}": "x" for number in range(first, last)}
        return asking(profile=lead_pb2.LeadProfile(attributes=attributes))

    decisions.Decide(told(0, 20), metadata=call(tenant))
    with pytest.raises(grpc.RpcError) as refused:
        decisions.Decide(told(19, 33), metadata=call(tenant))
    assert refusal(refused.value) == ("INVALID_ARGUMENT", "INVALID_FIELD", ["profile.attributes"])
    again = told(20, 32)
    first = decisions.Decide(again, metadata=call(tenant)).decision
    assert decisions.Decide(again, metadata=call(tenant)).decision == first


def test_a_preview_leaves_nothing_of_a_tenant_behind(decisions, tenant, store_url):  # type: ignore[no-untyped-def]
    with Redis.from_url(store_url) as store:
        decisions.Preview(asking(), metadata=(("x-keepwell-tenant", tenant),))
        assert (list(store.keys(f"*{tenant}*")), store.sismember(TENANTS_KEY, tenant)) == ([], 0)
        decisions.Decide(asking(), metadata=(("x-keepwell-tenant", tenant),))
        assert store.sismember(TENANTS_KEY, tenant) == 1
