"""`python -m tests.benchmark.reviews`: how soon what falls due, and what leads do, is a decision on a watcher's stream.

The store is filled with leads, each decided once. Then the reviews of so many a second are moved to an even pace (a hundred thousand leads at
critical risk, the worst there can be under the default policy, are 28 a second), and other leads send events. Every decision is awaited on a
watcher's stream, and at the end all is audited: each due lead that had news decided once, no other one at all, and nothing left that is due.
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
  early_warning: [{channel: in_app, playbook: nudge}]
  active_risk: [{channel: in_app, playbook: nudge}]
  critical_risk: [{channel: in_app, playbook: nudge}]
review: {none: 7d, early_warning: 7d, active_risk: 7d, critical_risk: 7d}
"""
METRICS = "127.0.0.1:21061"
SIMULATED, DAY = 4_000, 200
SIZE = 256
DUE = Partition("default", 0).due
EVENTS_A_LEAD = 10  # what `event_to_watcher` sends
NONE = decision_pb2.INTERVENTION_STAGE_NONE
SCHEDULE = decision_pb2.DECISION_CAUSE_SCHEDULE


class Due(NamedTuple):
    """The leads that fall due: when, and which of them are at risk, so that a review of them has news."""

    at: dict[str, float]
    at_risk: set[str]


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


async def load(address: str, requests: list[decision_service_pb2.DecideRequest]) -> set[str]:
    """Decide about each lead once; return those that are at risk."""

    async def messages() -> AsyncIterator[decision_service_pb2.DecideStreamRequest]:
        for first in range(0, len(requests), SIZE):
            yield decision_service_pb2.DecideStreamRequest(requests=requests[first : first + SIZE])

    decided, at_risk = 0, set()
    async with aio.insecure_channel(address) as channel:
        stub: Any = decision_service_pb2_grpc.DecisionServiceStub(channel)
        async for answer in stub.DecideStream(messages()):
            decided += sum(result.HasField("decision") for result in answer.results)
            at_risk |= {r.decision.lead_id for r in answer.results if r.decision.assessment.stage > NONE}
    if decided != len(requests):
        raise ValueError(f"{decided} of {len(requests)} leads were decided")
    return at_risk


def spread(store: redis.Redis, at_risk: set[str], per_second: float, seconds: float) -> Due:
    """Move the reviews of the first leads to an even pace that begins in two seconds."""
    start = time.time() + 2
    at = {f"lead-{n}": start + n / per_second for n in range(int(per_second * seconds))}
    store.zadd(DUE, {lead: round(instant * 1_000) for lead, instant in at.items()})
    return Due(at, at_risk & at.keys())


async def watch(address: str, due: Due, until: float) -> tuple[dict[str, float], Counter[str]]:
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
                if decision.cause == SCHEDULE and decision.lead_id in due.at:
                    seen[decision.lead_id] += 1
                    late.setdefault(decision.lead_id, (arrived - due.at[decision.lead_id]) * 1_000)
            if arrived >= until and (response.checkpoint or not response.decisions):
                return late, seen
    raise ValueError("the feed ended")


def audit(due: Due, seen: Mapping[str, int], store: redis.Redis) -> None:
    """Raise unless each due lead at risk was decided once, no other one was, and nothing that was due is left."""
    if dict(seen) != dict.fromkeys(due.at_risk, 1):
        missing, more = due.at_risk - seen.keys(), [lead for lead, times in seen.items() if times > 1]
        raise ValueError(
            f"{len(missing)} leads not decided, {len(more)} more than once: {list(missing)[:5]} {more[:5]}"
        )
    left = store.zcount(DUE, "-inf", max(due.at.values()) * 1_000)
    if left:
        raise ValueError(f"{left} leads are still due")


def counted(name: str) -> dict[str, float]:
    """Return a counter of the server by its label."""
    with urlopen(f"http://{METRICS}/metrics") as page:
        lines = page.read().decode().splitlines()
    rows = [line.removeprefix(name).split() for line in lines if line.startswith(f"{name}{{")]
    return {label.split('"')[1]: float(value) for label, value in rows}


async def measure(
    address: str, server: psutil.Process, store: redis.Redis, leads: int, pace: tuple[float, float]
) -> Table:
    """Fill the store, wait for what falls due, audit, and return the figures."""
    started = time.monotonic()
    at_risk = await load(address, portfolio(leads))
    loaded = time.monotonic() - started
    per_second, seconds = pace
    before, cpu = counted("keepwell_assessments_total"), sum(server.cpu_times()[:2])
    due = spread(store, at_risk, per_second, seconds)
    watching = asyncio.create_task(watch(address, due, max(due.at.values()) + 3))
    lively = int(seconds * 100 / EVENTS_A_LEAD)
    events = await event_to_watcher(address, "event", lively, 100 / EVENTS_A_LEAD)
    late, seen = await watching
    cpu = sum(server.cpu_times()[:2]) - cpu
    audit(due, seen, store)
    after = counted("keepwell_assessments_total")
    reused, scored = (after.get(label, 0) - before.get(label, 0) for label in ("reused", "scored"))
    reviews, sorted_late = counted("keepwell_reviews_total"), sorted(late.values())
    table = Table("figure", "value", title=f"{leads:,} leads, {per_second:,.0f} due and 100 events a second")
    for name, value in {
        "loaded in, s": loaded,
        "reviews decided": reviews.get("decided", 0),
        "reviews without news": reviews.get("quiet", 0),
        "due to watcher p50, ms": np.percentile(sorted_late, 50),
        "due to watcher p99, ms": np.percentile(sorted_late, 99),
        "due to watcher max, ms": sorted_late[-1],
        "event to watcher p50, ms": np.percentile(events, 50),
        "event to watcher p99, ms": np.percentile(events, 99),
        "assessments reused, %": 100 * reused / (reused + scored),
        "server, % of a core": 100 * cpu / (seconds + 3),
    }.items():
        table.add_row(name, f"{value:,.1f}")
    return table


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--leads", type=int, default=100_000)
    options.add_argument("--per-second", type=float, default=100)
    options.add_argument("--seconds", type=float, default=60)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="kwr") as name:
        folder = Path(name)
        policy = folder / "policy.yaml"
        policy.write_text(POLICY)
        arguments = ["--data-dir", name, "--policy", str(policy)]
        server = start_server(*arguments, port=21_060, environment={"KEEPWELL_METRICS_LISTEN": METRICS})
        store = redis.Redis(unix_socket_path=str(folder / "store" / "store.sock"))
        try:
            process, pace = psutil.Process(server.process.pid), (given.per_second, given.seconds)
            Console().print(asyncio.run(measure(server.address, process, store, given.leads, pace)))
        finally:
            store.close()
            server.stop()


if __name__ == "__main__":
    main()
