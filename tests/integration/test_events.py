from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import cast

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status
from keepwell.v1 import decision_pb2, decision_service_pb2_grpc, feed_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import decision_service_pb2 as decisions
from keepwell.v1 import feed_service_pb2 as feeds
from keepwell.v1 import lead_service_pb2 as messages

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)


def event(event_id: str, kind: str = "site_visit", days_ago: float = 0, **fields: object) -> lead_pb2.LeadEvent:
    made = lead_pb2.LeadEvent(event_id=event_id, lead_id="lead", type=kind, **fields)  # type: ignore[arg-type]
    made.occur_time.FromDatetime(NOW - timedelta(days=days_ago))
    return made


class Leads:
    """One tenant's leads, at a time that is told."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self.stub = lead_service_pb2_grpc.LeadServiceStub(channel)
        self.decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        self._tenant = tenant

    def at(self, now: datetime) -> tuple[tuple[str, str], ...]:
        return (("x-keepwell-tenant", self._tenant), ("x-keepwell-now", now.isoformat()))

    def record(self, *events: lead_pb2.LeadEvent, now: datetime = NOW) -> messages.RecordEventsResponse:
        return self.stub.RecordEvents(messages.RecordEventsRequest(events=events), metadata=self.at(now))

    def features(self, now: datetime = NOW) -> dict[str, float]:
        view = self.stub.GetLead(messages.GetLeadRequest(lead_id="lead"), metadata=self.at(now))
        return dict(view.features.numbers)

    def watch(self) -> Iterator[decision_pb2.Decision]:
        request = feeds.WatchDecisionsRequest(start=feeds.FeedStart(earliest=Empty()))
        for response in self._feed.WatchDecisions(request, metadata=self.at(NOW), timeout=20):
            yield from response.decisions

    def decide(self, now: datetime, **numbers: float) -> decision_pb2.Decision:
        request = decisions.DecideRequest(lead_id="lead")
        if numbers:
            request.features.numbers.update(numbers)
        return self.decisions.Decide(request, metadata=self.at(now)).decision


@pytest.fixture
def leads(channel: grpc.Channel, tenant: str) -> Leads:
    return Leads(channel, tenant)


def fields_of(status: Status) -> list[tuple[str, str]]:
    for detail in status.details:
        bad = BadRequest()
        if detail.Unpack(bad):
            return [(violation.field, violation.description) for violation in bad.field_violations]
    return []


def test_events_become_features_and_time_alone_moves_them(leads: Leads) -> None:
    answer = leads.record(event("a", days_ago=4), event("b", "inquiry", 1), event("c", "purchase", 1, value=99.5))
    assert (answer.accepted, answer.duplicates, len(answer.rejected)) == (3, 0, 0)
    found = leads.features()
    assert (found["days_since_last_visit"], found["days_since_last_activity"]) == (4.0, 1.0)
    assert (found["active_days_7"], found["amount_90"], found["gap_mean"]) == (2.0, 99.5, 3.0)
    assert leads.features(NOW + timedelta(days=6))["active_days_7"] == 0.0


def test_an_event_counts_once_however_often_it_is_sent(leads: Leads) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: leads.record(event("a"), event("a")), range(40)))
    assert (sum(a.accepted for a in answers), sum(a.duplicates for a in answers)) == (1, 79)
    assert leads.features()["page_views_30"] == 1.0


def test_an_event_may_come_thirty_days_late_and_no_more_and_not_from_the_future(leads: Leads) -> None:
    second = 1 / 86_400
    answer = leads.record(
        event("edge", days_ago=30), event("late", days_ago=30 + second), event("ahead", days_ago=-61 * second)
    )
    assert answer.accepted == 1
    assert [(item.index, fields_of(item.status)) for item in answer.rejected] == [
        (1, [("events[1].occur_time", "must not be more than 30 days ago")]),
        (2, [("events[2].occur_time", "must not be in the future")]),
    ]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (event("a", "teleport"), "events[1].type"),
        (event("a b"), "events[1].event_id"),
        (event("a", "purchase"), "events[1].value"),
        (event("a", "purchase", value=float("nan")), "events[1].value"),
        (event("a", "purchase", value=1.1e12), "events[1].value"),
        (event("a", "site_visit", value=1.0), "events[1].value"),
        (event("a", properties={"x": "y" * 257}), 'events[1].properties["x"]'),
        (event("a", "opt_out", properties={"channel": "fax"}), 'events[1].properties["channel"]'),
    ],
)
def test_a_malformed_event_is_refused_and_harms_no_other(leads: Leads, bad: lead_pb2.LeadEvent, field: str) -> None:
    answer = leads.record(event("good"), bad)
    assert (answer.accepted, [item.index for item in answer.rejected]) == (1, [1])
    assert [name for name, _ in fields_of(answer.rejected[0].status)] == [field]


def test_a_call_of_malformed_events_alone_fails(leads: Leads) -> None:
    with pytest.raises(grpc.RpcError) as error:
        leads.record(event("a", "teleport"))
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(cast("grpc.Call", error.value))
    assert fields_of(status)[0][0] == "events[0].type"


def test_an_event_that_changes_the_stage_is_decided_and_can_be_made_again(leads: Leads) -> None:
    leads.record(*[event(f"v{day}", days_ago=day) for day in range(20, 30)])
    first = next(leads.watch())
    assert first.cause == decision_pb2.DECISION_CAUSE_EVENT
    assert first.assessment.stage > decision_pb2.INTERVENTION_STAGE_NONE
    leads.record(*[event(f"again{n}", days_ago=n / 4) for n in range(12)])
    day = timedelta(days=1)
    leads.record(event("x"), now=NOW + day - timedelta(milliseconds=1))  # hysteresis: still held
    leads.record(event("y"), now=NOW + day)
    listed = leads.decisions.ListDecisions(decisions.ListDecisionsRequest(lead_id="lead"), metadata=leads.at(NOW + day))
    second, oldest = listed.decisions
    assert oldest.decision_id == first.decision_id
    assert second.assessment.stage == decision_pb2.INTERVENTION_STAGE_NONE
    assert second.decided_at.ToDatetime(UTC) == NOW + day
    for decision in (first, second):
        verified = leads.decisions.VerifyDecision(
            decisions.VerifyDecisionRequest(decision_id=decision.decision_id), metadata=leads.at(NOW)
        )
        assert verified.match


def test_numbers_that_a_caller_gave_count_until_an_event_arrives(leads: Leads) -> None:
    leads.record(event("a"))
    leads.decide(NOW + timedelta(minutes=1), active_days_30=25)
    assert leads.features(NOW + timedelta(minutes=1))["active_days_30"] == 25.0
    leads.record(event("b", days_ago=2), now=NOW + timedelta(minutes=2))
    assert leads.features(NOW + timedelta(minutes=2))["active_days_30"] == 2.0
    leads.decide(NOW + timedelta(minutes=3), page_views_30=80)
    found = leads.features(NOW + timedelta(minutes=3))
    assert (found["page_views_30"], found["active_days_30"]) == (80.0, 2.0)


def test_a_new_event_is_assessed_when_one_behind_it_is_refused_or_known(leads: Leads) -> None:
    quiet = [event(f"v{day}", days_ago=day) for day in range(20, 30)]
    leads.record(*quiet[1:], event("late", days_ago=31))
    first = next(leads.watch())
    leads.record(*[event(f"again{n}", days_ago=n / 4) for n in range(12)])
    day = NOW + timedelta(days=1)
    leads.record(event("x"), quiet[1], now=day)
    listed = leads.decisions.ListDecisions(decisions.ListDecisionsRequest(lead_id="lead"), metadata=leads.at(day))
    assert [decision.decision_id for decision in listed.decisions][1:] == [first.decision_id]
    assert listed.decisions[0].assessment.stage == decision_pb2.INTERVENTION_STAGE_NONE


def test_the_largest_amounts_add_up_to_no_more_than_the_schema_allows(leads: Leads) -> None:
    answer = leads.record(*[event(f"p{n}", "purchase", value=1e12) for n in range(3)])
    assert answer.accepted == 3
    assert leads.features()["amount_90"] == 1e12


@pytest.mark.parametrize(("properties", "withdrawn"), [({}, 7), ({"channel": "sms"}, 1)])
def test_an_opt_out_withdraws_consent(leads: Leads, properties: dict[str, str], withdrawn: int) -> None:
    leads.record(event("out", "opt_out", properties=properties))
    view = leads.stub.GetLead(messages.GetLeadRequest(lead_id="lead"), metadata=leads.at(NOW))
    assert [consent.state for consent in view.consent] == [lead_pb2.CONSENT_STATE_WITHDRAWN] * withdrawn


def test_a_stream_acknowledges_every_event(leads: Leads) -> None:
    sent = [*[event(f"e{n}") for n in range(300)], event("e0"), event("bad", "teleport")]
    acks = list(leads.stub.StreamEvents(iter(sent), metadata=leads.at(NOW), timeout=20))
    assert len(acks) == 302
    assert sum(ack.duplicate for ack in acks) == 1
    refused = [ack for ack in acks if ack.HasField("error")]
    assert [(ack.event_id, fields_of(ack.error)[0][0]) for ack in refused] == [("bad", "type")]
    assert leads.features()["page_views_30"] == 300.0


def test_an_event_that_changes_nothing_does_not_put_the_review_off(leads: Leads) -> None:
    decided = leads.decide(NOW, days_since_last_activity=60.0)
    review = decided.next_review_time.ToDatetime(UTC)
    leads.record(event("a", "email_open"), now=NOW + timedelta(minutes=1))
    view = leads.stub.GetLead(messages.GetLeadRequest(lead_id="lead"), metadata=leads.at(NOW + timedelta(minutes=1)))
    assert view.assessment.stage == decided.assessment.stage
    assert NOW < view.next_review_time.ToDatetime(UTC) == review


def test_an_event_without_a_review_before_it_sets_one(leads: Leads) -> None:
    leads.record(event("a"))
    view = leads.stub.GetLead(messages.GetLeadRequest(lead_id="lead"), metadata=leads.at(NOW))
    assert view.next_review_time.ToDatetime(UTC) == NOW + timedelta(days=7)
