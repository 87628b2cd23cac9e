"""`python -m tests.benchmark.reviews`: how soon what falls due, and what leads do, is a decision on a watcher's stream.

The store is filled with leads, at an even pace; each is due again a fixed time later, so that as many a second fall due. Meanwhile others
send events. Every decision is awaited on a watcher's stream, and at the end all is audited: each lead that had news decided once, no other one
at all, and nothing left that is due.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import numpy as np
import psutil
import redis
from google.protobuf.empty_pb2 import Empty
from grpc import aio
from keepwell.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
)
from rich.console import Console
from rich.table import Table

from model.features import CATEGORIES, NUMERIC
from model.simulator import simulate
from model.snapshot import categories_of, features_at
from server.store.keys import Partition
from tests.benchmark.latency import event_to_watcher
from tests.conftest import start_server

POLICY = """\
schema: keepwell.policy/v1
name: every_review_contacts_leads_at_risk
interventions:
  early_warning: [{{channel: in_app, playbook: nudge}}]
  active_risk: [{{channel: in_app, playbook: nudge}}]
  critical_risk: [{{channel: in_app, playbook: nudge}}]
review: {{none: {seconds}s, early_warning: {seconds}s, active_risk: {seconds}s, critical_risk: {seconds}s}}
"""
METRICS = "127.0.0.1:21061"
SIMULATED, DAY = 4_000, 200
SIZE = 64
EVENTS_A_LEAD = 10  # what `event_to_watcher` sends
NONE = decision_pb2.INTERVENTION_STAGE_NONE
SCHEDULE = decision_pb2.DECISION_CAUSE_SCHEDULE


class Loaded(NamedTuple):
    """The leads that were decided once: when each is due, and which are at risk, so that a review of them has news."""

    due_at: dict[str, float]
    at_risk: set[str]
    seconds: float


def portfolio(leads: int) -> list[decision_service_pb2.DecideRequest]:
    """Return a first request about each lead: a simulated lead's features."""
    world = simulate(SIMULATED, DAY + 1, seed=7)
    rows, categories = features_at(world, DAY), categories_of(world)
    known = [
        decision_pb2.Features(
            numbers={each.name: x for each, x in zip(NUMERIC, row.tolist(), strict=True) if not np.isnan(x)},
            categories={each.name: text for each, text in zip(CATEGORIES, texts, strict=True)},
        )
        for row, texts in zip(rows, categories, strict=True)
    ]
    return [
        decision_service_pb2.DecideRequest(request_id=f"l{n}", lead_id=f"lead-{n}", features=known[n % SIMULATED])
        for n in range(leads)
    ]


async def load(address: str, requests: list[decision_service_pb2.DecideRequest], per_second: float) -> Loaded:
    """Decide about each lead once, at an even pace."""
    started = time.monotonic()

    async def paced() -> AsyncIterator[decision_service_pb2.DecideStreamRequest]:
        for first in range(0, len(requests), SIZE):
            await asyncio.sleep(max(0.0, started + first / per_second - time.monotonic()))
            yield decision_service_pb2.DecideStreamRequest(requests=requests[first : first + SIZE])

    loaded = Loaded({}, set(), 0.0)
    async with aio.insecure_channel(address) as channel:
        stub: Any = decision_service_pb2_grpc.DecisionServiceStub(channel)
        async for answer in stub.DecideStream(paced()):
            for result in answer.results:
                decision = result.decision
                loaded.due_at[decision.lead_id] = decision.next_review_time.ToNanoseconds() / 1e9
                if decision.assessment.stage > NONE:
                    loaded.at_risk.add(decision.lead_id)
    if loaded.due_at.keys() != {request.lead_id for request in requests}:
        raise ValueError(f"{len(loaded.due_at)} of {len(requests)} leads were decided")
    return loaded._replace(seconds=time.monotonic() - started)


async def watch(address: str, loaded: Loaded, until: float) -> tuple[dict[str, float], Counter[str]]:
    """Return how late after its due time each lead's decision was seen, in ms, and how many of each lead's were, until some time of day."""
    late: dict[str, float] = {}
    seen: Counter[str] = Counter()
    request = feed_service_pb2.WatchDecisionsRequest(start=feed_service_pb2.FeedStart(latest=Empty()))
    request.heartbeat.FromSeconds(1)
    async with aio.insecure_channel(address) as channel:
        stub: Any = feed_service_pb2_grpc.FeedServiceStub(channel)
        async for response in stub.WatchDecisions(request):
            arrived = time.time()
            for decision in response.decisions:
                if decision.cause == SCHEDULE and decision.lead_id in loaded.due_at:
                    seen[decision.lead_id] += 1
                    late.setdefault(decision.lead_id, (arrived - loaded.due_at[decision.lead_id]) * 1_000)
            if arrived >= until and (response.checkpoint or not response.decisions):
                return late, seen
    raise ValueError("the feed ended")


def audit(loaded: Loaded, seen: Mapping[str, int], store: Path, reviewed_until: float) -> None:
    """Raise unless each lead at risk was decided once, no other one was, and nothing of what was due is left."""
    if dict(seen) != dict.fromkeys(loaded.at_risk, 1):
        missing, more = loaded.at_risk - seen.keys(), [lead for lead, times in seen.items() if times > 1]
        raise ValueError(
            f"{len(missing)} leads not decided, {len(more)} more than once: {list(missing)[:5]} {more[:5]}"
        )
    client = redis.Redis(unix_socket_path=str(store / "store" / "store.sock"))
    left = client.zcount(Partition("default", 0).due, "-inf", reviewed_until * 1_000)
    client.close()
    if left:
        raise ValueError(f"{left} leads are still due")


def counted(name: str) -> dict[str, float]:
    """Return a counter of the server by its label."""
    with urlopen(f"http://{METRICS}/metrics") as page:
        lines = page.read().decode().splitlines()
    rows = [line.removeprefix(name).split() for line in lines if line.startswith(f"{name}{{")]
    return {label.split('"')[1]: float(value) for label, value in rows}


async def measure(address: str, pid: int, leads: int, per_second: float, folder: Path) -> Table:
    """Fill the store, wait for what falls due, audit, and return the figures."""
    loaded = await load(address, portfolio(leads), per_second)
    first, last = min(loaded.due_at.values()), max(loaded.due_at.values())
    await asyncio.sleep(max(0.0, first - time.time() - 1))
    before, server = counted("keepwell_assessments_total"), psutil.Process(pid)
    cpu = sum(server.cpu_times()[:2])
    until = last + 3
    watching = asyncio.create_task(watch(address, loaded, until))
    lively = int((last - first) * 100 / EVENTS_A_LEAD)
    events = await event_to_watcher(address, "event", lively, 100 / EVENTS_A_LEAD)
    late, seen = await watching
    cpu = sum(server.cpu_times()[:2]) - cpu
    audit(loaded, seen, folder, until)
    after = counted("keepwell_assessments_total")
    reused, scored = (after.get(label, 0) - before.get(label, 0) for label in ("reused", "scored"))
    reviews, sorted_late = counted("keepwell_reviews_total"), sorted(late.values())
    table = Table(
        "figure", "value", title=f"{leads:,} leads, {leads / (last - first):,.0f} due and 100 events a second"
    )
    for name, value in {
        "loaded in, s": loaded.seconds,
        "reviews decided": reviews.get("decided", 0),
        "reviews without news": reviews.get("quiet", 0),
        "due to watcher p50, ms": np.percentile(sorted_late, 50),
        "due to watcher p99, ms": np.percentile(sorted_late, 99),
        "due to watcher max, ms": sorted_late[-1],
        "event to watcher p50, ms": np.percentile(events, 50),
        "event to watcher p99, ms": np.percentile(events, 99),
        "assessments reused, %": 100 * reused / (reused + scored),
        "server, % of a core": 100 * cpu / (last - first),
    }.items():
        table.add_row(name, f"{value:,.1f}")
    return table


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--leads", type=int, default=100_000)
    options.add_argument("--per-second", type=float, default=1_000)
    given = options.parse_args()
    wait_seconds = int(given.leads / given.per_second) + 30
    with tempfile.TemporaryDirectory(prefix="kwr") as name:
        folder = Path(name)
        policy = folder / "policy.yaml"
        policy.write_text(POLICY.format(seconds=wait_seconds))
        arguments = ["--data-dir", name, "--policy", str(policy)]
        server = start_server(*arguments, port=21_060, environment={"KEEPWELL_METRICS_LISTEN": METRICS})
        try:
            work = measure(server.address, server.process.pid, given.leads, given.per_second, folder)
            Console().print(asyncio.run(work))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
