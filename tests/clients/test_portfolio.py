import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.lead_pb2 import LeadProfile
from keepwell_client import EARLIEST
from keepwell_client.errors import IdempotencyMismatchError, InvalidFieldError, StateUnavailableError

from server.store.embedded import EmbeddedStore
from tests.clients.conftest import Connect
from tests.conftest import start_server

LEADS = 1_500


def portfolio(count: int = LEADS) -> Iterator[DecideRequest]:
    for number in range(count):
        yield DecideRequest(request_id=f"r{number}", lead_id=f"lead{number}", churn_probability=0.5)


def test_every_request_has_one_result_and_a_bad_one_harms_no_other(client: Any) -> None:
    requests = [*portfolio(), DecideRequest(request_id="bad", lead_id="a b"), DecideRequest(lead_id="no-id")]
    results = list(client.decide_many(requests))
    assert len(results) == LEADS + 2
    bad = [result for result in results if result.error]
    assert [(type(result.error), result.request.lead_id) for result in bad] == [(InvalidFieldError, "a b")]
    assert all(result.decision.lead_id == result.request.lead_id for result in results if result.decision)


def test_a_portfolio_that_is_run_again_answers_what_was_decided(client: Any) -> None:
    first = {result.request.request_id: result for result in client.decide_many(portfolio(300))}
    again = {result.request.request_id: result for result in client.decide_many(portfolio(300))}
    assert {key: result.decision for key, result in again.items()} == {key: r.decision for key, r in first.items()}
    assert {result.replayed for result in again.values()} == {True}


def test_requests_that_share_an_id_are_each_answered(client: Any) -> None:
    twin = DecideRequest(request_id="twin", lead_id="lead", churn_probability=0.5)
    other = DecideRequest(request_id="twin", lead_id="lead", churn_probability=0.6)
    results = list(client.decide_many([twin, twin, other]))
    assert [result.replayed for result in results] == [False, True, False]
    assert isinstance(results[2].error, IdempotencyMismatchError)


def test_the_longest_profiles_fit_into_messages_that_the_service_takes(client: Any) -> None:
    longest = LeadProfile(attributes={f"attribute_{place}": "\N{GRINNING FACE}" * 256 for place in range(32)})
    requests = [DecideRequest(lead_id=f"lead{n}", churn_probability=0.5, profile=longest) for n in range(300)]
    assert sum(request.ByteSize() for request in requests[:256]) > 8_000_000
    results = list(client.decide_many(requests))
    assert (len(results), [result.error for result in results if result.error]) == (300, [])


def test_an_empty_portfolio_has_no_results(client: Any) -> None:
    assert list(client.decide_many([])) == []


def test_requests_are_taken_only_as_results_are(client: Any) -> None:
    taken = Counter[str]()

    def counted() -> Iterator[DecideRequest]:
        for request in portfolio():
            taken["requests"] += 1
            yield request

    next(results := client.decide_many(counted()))
    assert taken["requests"] <= 5 * 256
    results.close()


def test_without_a_store_each_request_has_its_error_in_the_end_and_a_later_run_its_decision(
    tmp_path: Path, connect: Connect
) -> None:
    store = EmbeddedStore.start(tmp_path)
    running = start_server("--redis-url", store.url)
    client = connect(running.address)
    store.stop()
    errors = [result.error for result in client.decide_many(portfolio(3))]
    assert {type(error) for error in errors} == {StateUnavailableError}
    assert sorted(error.request_id for error in errors) == ["r0", "r1", "r2"]
    again = EmbeddedStore.start(tmp_path)
    assert [result.error for result in client.decide_many(portfolio(3))] == [None, None, None]
    assert running.stop() == 0
    again.stop()


def test_a_killed_server_costs_no_result_and_decides_nothing_twice(tmp_path: Path, connect: Connect) -> None:
    store = EmbeddedStore.start(tmp_path)
    running = start_server("--redis-url", store.url)
    client = connect(running.address)
    results = client.decide_many(portfolio())
    found = [next(results) for _ in range(300)]
    running.stop(signal.SIGKILL)
    running = start_server("--redis-url", store.url, port=int(running.address.rpartition(":")[2]))
    found += list(results)
    assert Counter(result.request.request_id for result in found) == Counter(f"r{number}" for number in range(LEADS))
    decided = {result.decision.decision_id for result in found}
    feed = client.watch(start=EARLIEST)
    assert {next(feed).decision_id for _ in range(LEADS)} == decided
    feed.close()
    assert running.stop() == 0
    store.stop()
