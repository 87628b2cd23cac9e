import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.feed_service_pb2 import FeedFilter
from keepwell_client import EARLIEST, AsyncClient, Client, FileTokenStore, MemoryTokenStore
from keepwell_client.errors import ResumeTokenExpiredError, ResumeTokenInvalidError, UnreachableError

from server.store.embedded import EmbeddedStore
from tests.clients.conftest import Connect
from tests.conftest import start_server
from tests.integration.test_retention import WEEK_MS, trim_to


def decide(client: Any, count: int, probability: float = 0.5) -> list[str]:
    requests = [DecideRequest(lead_id="lead", churn_probability=probability) for _ in range(count)]
    return [client.decide(request).decision.decision_id for request in requests]


def take(decisions: Any, count: int) -> list[str]:
    return [next(decisions).decision_id for _ in range(count)]


def test_a_watcher_goes_on_after_its_stored_token_and_repeats_what_it_had_not_finished(
    client: Any, tmp_path: Path
) -> None:
    tokens = FileTokenStore(tmp_path / "token")
    made = decide(client, 3)
    decisions = client.watch(None, tokens, start=EARLIEST)
    assert take(decisions, 3) == made
    decisions.close()  # in the middle of handling the third
    made += decide(client, 2)
    again = client.watch(None, FileTokenStore(tmp_path / "token"), start=EARLIEST)
    repeated = take(again, 5)
    assert repeated == made
    more = decide(client, 1)
    assert take(again, 1) == more  # asking for it said that the five are handled
    again.close()
    third = client.watch(None, FileTokenStore(tmp_path / "token"))
    assert take(third, 1) == more
    third.close()


def test_closing_the_client_ends_what_watches_in_another_thread(server: str, tenant: str) -> None:
    client = Client(server, tenant)
    came: list[str] = []
    with ThreadPoolExecutor(1) as threads:
        watching = threads.submit(lambda: came.extend(each.decision_id for each in client.watch(start=EARLIEST)))
        made = decide(client, 2)
        while came != made:  # the test's timeout ends it
            time.sleep(0.01)
        client.close()
        assert watching.result(timeout=10) is None


def test_closing_the_client_ends_a_watch_that_waits_for_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client("127.0.0.1:1")
    monkeypatch.setattr(time, "sleep", lambda _: client.close())
    assert list(client.watch()) == []


async def test_closing_the_client_ends_what_watches_in_another_task(server: str, tenant: str) -> None:
    client = AsyncClient(server, tenant)
    made = await client.decide(DecideRequest(lead_id="lead", churn_probability=0.5))
    came = asyncio.Event()

    async def watch() -> list[str]:
        found = []
        async for decision in client.watch(start=EARLIEST):
            found.append(decision.decision_id)
            came.set()
        return found

    watching = asyncio.create_task(watch())
    await came.wait()
    await client.close()
    assert await watching == [made.decision.decision_id]


@pytest.mark.parametrize("is_closed", [False, True])
async def test_a_task_that_watches_can_be_cancelled(server: str, tenant: str, is_closed: bool) -> None:
    async with AsyncClient(server, tenant) as client:
        await client.decide(DecideRequest(lead_id="lead", churn_probability=0.5))
        decisions = client.watch(start=EARLIEST)
        await anext(decisions)
        watching = asyncio.ensure_future(anext(decisions))  # there is no second one to come
        await asyncio.sleep(0)
        watching.cancel()
        if is_closed:
            await client.close()
        with pytest.raises(asyncio.CancelledError):
            await watching


def test_a_filter_lets_through_what_it_names(client: Any) -> None:
    decide(client, 1, 0.1)
    made = decide(client, 1, 0.7)
    at_risk = client.watch(FeedFilter(stages=[pb.INTERVENTION_STAGE_ACTIVE_RISK]), start=EARLIEST)
    assert take(at_risk, 1) == made
    at_risk.close()


def test_a_token_of_another_filter_is_an_error_of_its_own(client: Any) -> None:
    decide(client, 1)
    tokens = MemoryTokenStore()
    take(watching := client.watch(None, tokens, start=EARLIEST), 1)
    decide(client, 1)
    take(watching, 1)
    watching.close()
    with pytest.raises(ResumeTokenInvalidError):
        next(client.watch(FeedFilter(escalations_only=True), tokens))


def test_decisions_that_were_missed_are_an_error_that_says_where_to_start_again(
    client: Any, tenant: str, store_url: str
) -> None:
    made = decide(client, 2)
    tokens = MemoryTokenStore()
    take(watching := client.watch(None, tokens, start=EARLIEST), 2)
    made += decide(client, 3)
    take(watching, 1)
    watching.close()
    trim_to(store_url, tenant, WEEK_MS, 1)
    with pytest.raises(ResumeTokenExpiredError) as raised:
        next(client.watch(None, tokens))
    again = client.watch(None, MemoryTokenStore(raised.value.metadata["earliest_token"]))
    assert take(again, 1) == made[4:]
    again.close()


def test_a_watcher_gives_a_service_up_that_is_away_for_too_long(connect: Connect) -> None:
    with pytest.raises(UnreachableError):
        next(connect("127.0.0.1:1").watch(patience_seconds=0))


def test_a_watcher_lives_through_a_restart_and_gets_every_decision_once(tmp_path: Path, connect: Connect) -> None:
    store = EmbeddedStore.start(tmp_path)
    running = start_server("--redis-url", store.url)
    client = connect(running.address)
    decisions = client.watch(start=EARLIEST)
    made = decide(client, 3)
    assert take(decisions, 3) == made
    assert running.stop() == 0
    running = start_server("--redis-url", store.url, port=int(running.address.rpartition(":")[2]))
    made = decide(client, 3)
    assert take(decisions, 3) == made
    decisions.close()
    assert running.stop() == 0
    store.stop()
