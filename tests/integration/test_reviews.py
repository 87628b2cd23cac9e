import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_pb2, decision_service_pb2_grpc, feed_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as feeds
from keepwell.v1 import lead_service_pb2 as messages
from keepwell.v1.decision_service_pb2 import DecideRequest, VerifyDecisionRequest

from server.store.connection import Store, connect
from server.store.due import DueLead, take_due
from server.store.keys import Partition
from tests.conftest import nobody_held_back, start_server

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
NOW_MS = 1_772_470_800_000
LEADS = 20
CALLER, MODEL = decision_pb2.ASSESSMENT_SOURCE_CALLER, decision_pb2.ASSESSMENT_SOURCE_MODEL


def visits() -> list[lead_pb2.LeadEvent]:
    """Return lively leads: each came to the site on eleven of the last thirty days."""
    found = []
    for lead in range(LEADS):
        for days_ago in range(0, 30, 3):
            event = lead_pb2.LeadEvent(event_id=f"v{days_ago}", lead_id=f"lead-{lead}", type="site_visit")
            event.occur_time.FromDatetime(NOW - timedelta(days=days_ago))
            found.append(event)
    return found


def at(now: datetime) -> tuple[tuple[str, str], ...]:
    return (("x-keepwell-now", now.isoformat()),)


def next_round(feed: Iterator[feeds.WatchDecisionsResponse]) -> list[decision_pb2.Decision]:
    """Return the next decisions, one for each lead."""
    found: dict[str, decision_pb2.Decision] = {}
    for response in feed:
        found.update({decision.lead_id: decision for decision in response.decisions})
        if len(found) == LEADS:
            return list(found.values())
    raise AssertionError("the feed ended")


def review_after(leads: lead_service_pb2_grpc.LeadServiceStub, lead_id: str, now: datetime) -> lead_pb2.LeadView:
    """Return a lead once it was reviewed at an instant, to which the call moves the clock."""
    while True:
        view = leads.GetLead(messages.GetLeadRequest(lead_id=lead_id), metadata=at(now))
        if view.next_review_time.ToDatetime(UTC) > now:
            return view


def test_leads_that_go_quiet_move_through_the_stages_without_being_asked_about(tmp_path: Path) -> None:
    policy = nobody_held_back(tmp_path)
    server = start_server("--data-dir", str(tmp_path), "--clock", "manual", "--policy", str(policy))
    week = timedelta(days=7)
    with grpc.insecure_channel(server.address) as channel:
        leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        recorded = leads.RecordEvents(messages.RecordEventsRequest(events=visits()), metadata=at(NOW))
        assert recorded.accepted == LEADS * 10
        request = feeds.WatchDecisionsRequest(start=feeds.FeedStart(earliest=Empty()))
        feed = iter(feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(request, timeout=60))
        risk = [review_after(leads, "lead-0", NOW + week).assessment]
        first = next_round(feed)
        assert {decision.verdict for decision in first} == {decision_pb2.VERDICT_NO_ACTION}
        # Two weeks of silence change the risk and no stage: the feed says nothing.
        for lead in range(LEADS):
            risk.append(review_after(leads, f"lead-{lead}", NOW + 2 * week).assessment)
        risk.append(review_after(leads, "lead-0", NOW + 5 * week).assessment)
        second = next_round(feed)
    for decided, weeks in ((first, 1), (second, 5)):
        assert {decision.cause for decision in decided} == {decision_pb2.DECISION_CAUSE_SCHEDULE}
        assert {decision.decided_at.ToDatetime(UTC) for decision in decided} == {NOW + weeks * week}
    assert {decision.assessment.stage for decision in second} == {risk[-1].stage}
    assert [each.churn_probability for each in risk] == sorted(each.churn_probability for each in risk)
    assert risk[1].churn_probability > risk[0].churn_probability
    assert risk[-2].stage == decision_pb2.INTERVENTION_STAGE_NONE < risk[-1].stage
    assert server.stop() == 0


def test_a_callers_word_stands_for_thirty_days_and_nobody_is_contacted_beyond_it(tmp_path: Path) -> None:
    policy = nobody_held_back(tmp_path)
    server = start_server("--data-dir", str(tmp_path), "--clock", "manual", "--policy", str(policy))
    with grpc.insecure_channel(server.address) as channel:
        leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        decide = decision_service_pb2_grpc.DecisionServiceStub(channel)
        request = feeds.WatchDecisionsRequest(start=feeds.FeedStart(earliest=Empty()))
        feed = iter(feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(request, timeout=60))
        told = DecideRequest(lead_id="lead", churn_probability=0.5)
        decide.Decide(told, metadata=at(NOW))
        # A day later the next contact of its stage is possible; after thirty, nobody knows anything of the lead any more.
        review_after(leads, "lead", NOW + timedelta(days=1))
        review_after(leads, "lead", NOW + timedelta(days=31))
        decided = [decision for _ in range(4) for decision in next(feed).decisions]
        checked = [decide.VerifyDecision(VerifyDecisionRequest(decision_id=each.decision_id)) for each in decided]
    first, second, third = decided
    assert [each.assessment.source for each in decided] == [CALLER, CALLER, MODEL]
    assert second.cause == third.cause == decision_pb2.DECISION_CAUSE_SCHEDULE
    assert (second.assessment.churn_probability, second.assessment.assessed_at) == (0.5, first.assessment.assessed_at)
    assert [each.verdict == decision_pb2.VERDICT_CONTACT for each in decided] == [True, True, False]
    assert all(each.match for each in checked)
    assert server.stop() == 0


def with_store(url: str, use: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        store = connect(url, timeout_seconds=2)
        try:
            await use(store.commit)
        finally:
            await store.aclose()

    asyncio.run(run())


def test_what_is_due_is_taken_once_and_again_when_its_taker_is_gone(store_url: str, tenant: str) -> None:
    partition = Partition(tenant, 0)

    async def use(client: Store) -> None:
        await client.set(partition.clock, NOW_MS)
        await client.zadd(partition.due, {"now": NOW_MS, "later": NOW_MS + 1, "before": NOW_MS - 5})

        async def take(count: int = 10) -> list[DueLead]:
            return await take_due(client, partition, "manual", count, visibility_ms=30_000)

        assert await take(1) == [DueLead("before", NOW_MS - 5)]
        assert await take() == [DueLead("now", NOW_MS)]
        assert await take() == []
        await client.set(partition.clock, NOW_MS + 29_999)
        assert await take() == [DueLead("later", NOW_MS + 1)]
        await client.set(partition.clock, NOW_MS + 30_000)
        assert {lead.lead_id for lead in await take()} == {"before", "now"}

    with_store(store_url, use)
