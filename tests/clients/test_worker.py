import asyncio
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.feed_service_pb2 import Delivery, FeedFilter, FeedGap, ListSubscriptionsRequest, SubscribeRequest
from keepwell_client import EARLIEST, AsyncClient, Client, RetryLaterError
from keepwell_client.errors import SubscriptionFilterMismatchError

from server.store.embedded import EmbeddedStore
from tests.conftest import Running, start_server
from tests.integration.test_retention import WEEK_MS, trim_to

Handle = Callable[[Delivery], None]
Work = Callable[..., None]
MAIL = SubscribeRequest(subscription="mail", start=EARLIEST)


def work_in_threads(
    address: str, tenant: str, request: SubscribeRequest, handle: Handle, count: int, **more: Any
) -> None:
    """Run a worker until it has called the handler so often."""
    with Client(address, tenant) as client:
        calls = []

        def counted(delivery: Delivery) -> None:
            calls.append(delivery)
            if len(calls) == count:
                worker.stop()
            handle(delivery)

        worker = client.worker(request, counted, concurrency=4, patience_seconds=30, **more)
        worker.run()


def work_in_tasks(
    address: str, tenant: str, request: SubscribeRequest, handle: Handle, count: int, **more: Any
) -> None:
    """Run an asynchronous worker until it has called the handler so often."""

    async def run() -> None:
        async with AsyncClient(address, tenant) as client:
            calls = []

            async def counted(delivery: Delivery) -> None:
                calls.append(delivery)
                if len(calls) == count:
                    worker.stop()
                await asyncio.to_thread(handle, delivery)

            worker = client.worker(request, counted, concurrency=4, patience_seconds=30, **more)
            await worker.run()

    asyncio.run(run())


@pytest.fixture(params=[work_in_threads, work_in_tasks], ids=["threads", "asyncio"])
def work(request: pytest.FixtureRequest) -> Work:
    return request.param  # type: ignore[no-any-return]


def decide(address: str, tenant: str, count: int) -> list[str]:
    with Client(address, tenant) as client:
        requests = (DecideRequest(lead_id=f"lead-{number}", churn_probability=0.5) for number in range(count))
        return [client.decide(request).decision.decision_id for request in requests]


def unacknowledged(address: str, tenant: str) -> tuple[int, int]:
    """Return what the subscription has neither handed out nor been told about."""
    with Client(address, tenant) as client:
        (mail,) = client.call(client.feed.ListSubscriptions, ListSubscriptionsRequest()).subscriptions
        return mail.lag, mail.unacknowledged


def test_a_worker_handles_every_decision_and_leaves_nothing_unacknowledged(
    work: Work, server: str, tenant: str
) -> None:
    made = decide(server, tenant, 40)
    handled: list[str] = []
    work(server, tenant, MAIL, lambda delivery: handled.append(delivery.decision.decision_id), 40)
    assert sorted(handled) == sorted(made)
    assert unacknowledged(server, tenant) == (0, 0)


def test_what_a_handler_raises_from_comes_again_when_it_said(work: Work, server: str, tenant: str) -> None:
    made = decide(server, tenant, 3)
    attempts: list[tuple[str, int]] = []

    def handle(delivery: Delivery) -> None:
        attempts.append((delivery.decision.decision_id, delivery.attempt))
        if delivery.decision.decision_id == made[1] and delivery.attempt < 3:
            raise RetryLaterError(0)

    work(server, tenant, MAIL, handle, 5)
    assert sorted(attempts) == sorted([(made[0], 1), *((made[1], attempt) for attempt in (1, 2, 3)), (made[2], 1)])
    assert unacknowledged(server, tenant) == (0, 0)


@pytest.mark.parametrize("seconds", [-0.001, 604_800.001, math.inf, math.nan])
def test_a_delay_that_the_service_would_refuse_is_a_fault_of_the_handler(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be a number from 0 to 604,800, not "):
        raise RetryLaterError(seconds)
    assert [RetryLaterError(each).seconds for each in (0, 604_800)] == [0, 604_800]


def test_a_fault_of_the_handler_is_logged_and_its_delivery_is_kept(
    work: Work, server: str, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    decide(server, tenant, 1)

    def handle(delivery: Delivery) -> None:
        raise ZeroDivisionError(delivery.attempt)

    work(server, tenant, MAIL, handle, 1)
    assert unacknowledged(server, tenant) == (0, 1)
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


def test_what_retention_took_is_told_and_acknowledged_like_a_decision(
    work: Work, server: str, tenant: str, store_url: str
) -> None:
    decide(server, tenant, 1)
    work(server, tenant, MAIL, lambda _: None, 1)
    made = decide(server, tenant, 3)
    trim_to(store_url, tenant, WEEK_MS, 1)
    handled: list[str] = []
    gaps: list[FeedGap] = []
    work(server, tenant, MAIL, lambda each: handled.append(each.decision.decision_id), 1, on_gap=gaps.append)
    assert handled == made[2:]
    assert [gap.missed for gap in gaps] == [2]
    assert unacknowledged(server, tenant) == (0, 0)


def test_a_subscription_with_another_filter_is_an_error_of_its_own(work: Work, server: str, tenant: str) -> None:
    decide(server, tenant, 1)
    work(server, tenant, MAIL, lambda _: None, 1)
    other = SubscribeRequest(subscription="mail", filter=FeedFilter(escalations_only=True))
    with pytest.raises(SubscriptionFilterMismatchError):
        work(server, tenant, other, lambda _: None, 1)


def test_a_worker_lives_through_a_restart_and_every_decision_is_handled(tmp_path: Path, work: Work) -> None:
    store = EmbeddedStore.start(tmp_path)
    servers: list[Running] = [start_server("--redis-url", store.url)]
    address = servers[0].address
    made = decide(address, "", 20)
    handled: set[str] = set()

    def restart() -> None:
        servers[0].stop()
        servers[0] = start_server("--redis-url", store.url, port=int(address.rpartition(":")[2]))
        made.extend(decide(address, "", 20))

    restarting = Thread(target=restart)

    def handle(delivery: Delivery) -> None:
        if delivery.decision.decision_id == made[0] and delivery.attempt == 1:
            restarting.start()
        handled.add(delivery.decision.decision_id)

    soon = SubscribeRequest(subscription="mail", start=EARLIEST, ack_deadline=Duration(seconds=60))
    work(address, "", soon, handle, 40)
    restarting.join()
    assert handled == set(made)
    assert unacknowledged(address, "") == (0, 0)
    assert servers[0].stop() == 0
    store.stop()


def test_closing_the_client_ends_what_works_in_another_thread(server: str, tenant: str) -> None:
    client = Client(server, tenant)
    client.decide(DecideRequest(lead_id="lead", churn_probability=0.5))
    came = Event()
    with ThreadPoolExecutor(1) as threads:
        working = threads.submit(client.work, MAIL, lambda _: came.set())
        assert came.wait(10)
        client.close()
        assert working.result(timeout=10) is None


async def test_closing_the_client_ends_what_works_in_another_task(server: str, tenant: str) -> None:
    client = AsyncClient(server, tenant)
    await client.decide(DecideRequest(lead_id="lead", churn_probability=0.5))
    came = asyncio.Event()

    async def handle(_: Delivery) -> None:
        came.set()

    working = asyncio.create_task(client.work(MAIL, handle))
    await came.wait()
    await client.close()
    await asyncio.wait_for(working, 10)
