import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_pb2, feed_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as feeds
from keepwell.v1 import lead_service_pb2 as messages

from server.store.connection import Store, connect
from server.store.due import DueLead, take_due
from server.store.keys import Partition
from tests.conftest import start_server

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
NOW_MS = 1_772_470_800_000
LEADS = 20


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


def test_leads_that_go_quiet_move_through_the_stages_without_being_asked_about(tmp_path: Path) -> None:
    server = start_server("--data-dir", str(tmp_path), "--clock", "manual")
    with grpc.insecure_channel(server.address) as channel:
        leads = lead_service_pb2_grpc.LeadServiceStub(channel)
        recorded = leads.RecordEvents(messages.RecordEventsRequest(events=visits()), metadata=at(NOW))
        assert recorded.accepted == LEADS * 10
        start = feeds.FeedStart(earliest=Empty())
        feed = iter(
            feed_service_pb2_grpc.FeedServiceStub(channel).WatchDecisions(
                feeds.WatchDecisionsRequest(start=start), timeout=60
            )
        )
        risk = []
        for week in range(1, 5):
            # Any call moves the clock; nobody asks for a decision.
            leads.GetLead(messages.GetLeadRequest(lead_id="lead-0"), metadata=at(NOW + timedelta(days=7 * week)))
            decided = next_round(feed)
            assert {decision.cause for decision in decided} == {decision_pb2.DECISION_CAUSE_SCHEDULE}
            assert {decision.decided_at.ToDatetime(UTC) for decision in decided} == {NOW + timedelta(days=7 * week)}
            risk.append(decided[0].assessment)
    assert [each.churn_probability for each in risk] == sorted(each.churn_probability for each in risk)
    assert risk[0].stage == decision_pb2.INTERVENTION_STAGE_NONE
    assert risk[-1].stage > decision_pb2.INTERVENTION_STAGE_NONE
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
