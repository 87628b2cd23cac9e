"""From an event to a watcher's stream: how long until what a lead did is a decision that others see."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.empty_pb2 import Empty
from grpc import aio
from keepwell.v1 import feed_service_pb2, feed_service_pb2_grpc, lead_pb2, lead_service_pb2, lead_service_pb2_grpc

QUIET_DAYS = range(20, 30)  # ten visits, the last one twenty days ago: a lead at risk


def gone_quiet(lead_id: str) -> lead_service_pb2.RecordEventsRequest:
    """Return the events of a lead that its model puts at risk at once."""
    now = datetime.now(UTC)  # noqa: TID251 (a caller's own clock, at a server with the real one)
    events = []
    for days in QUIET_DAYS:
        event = lead_pb2.LeadEvent(event_id=f"v{days}", lead_id=lead_id, type="site_visit")
        event.occur_time.FromDatetime(now - timedelta(days=days))
        events.append(event)
    return lead_service_pb2.RecordEventsRequest(events=events)


async def event_to_watcher(address: str, tag: str, count: int, per_second: float) -> list[float]:
    """Return so many latencies in ms, sorted; the calls are sent at their times, whatever became of those before."""
    sent: dict[str, float] = {}
    found: list[float] = []
    async with aio.insecure_channel(address) as channel:
        leads: Any = lead_service_pb2_grpc.LeadServiceStub(channel)
        feed: Any = feed_service_pb2_grpc.FeedServiceStub(channel)
        start = feed_service_pb2.FeedStart(latest=Empty())
        stream = feed.WatchDecisions(feed_service_pb2.WatchDecisionsRequest(start=start), timeout=120)
        await stream.read()  # the first checkpoint: from here on nothing is missed

        async def watch() -> None:
            while len(found) < count:
                response = await stream.read()
                arrived = time.perf_counter()
                for decision in response.decisions:
                    if decision.lead_id in sent:
                        found.append((arrived - sent.pop(decision.lead_id)) * 1_000)

        async def send(lead_id: str) -> None:
            message = gone_quiet(lead_id)
            sent[lead_id] = time.perf_counter()
            answer = await leads.RecordEvents(message)
            if answer.accepted != len(message.events):
                raise ValueError(f"{answer.accepted} events of {len(message.events)} accepted")

        watching = asyncio.create_task(watch())
        calls = []
        for number in range(count):
            calls.append(asyncio.create_task(send(f"{tag}-{number}")))
            await asyncio.sleep(1 / per_second)
        await asyncio.gather(watching, *calls)
    return sorted(found)
