import itertools
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import grpc
import pytest
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc
from keepwell.v1 import model_service_pb2 as messages
from redis import Redis

from model.features import UNKNOWN_CATEGORIES, matrix_of, numbers_row
from model.scorer import Scorer
from server.artifact import load_artifact
from server.models import SHIPPED
from server.store.embedded import EmbeddedStore
from server.store.keys import model_key
from server.store.models import Files
from tests.artifacts import Models, pieces, shifted
from tests.conftest import free_port, start_server

NUMBERS = {"days_since_last_activity": 20.0, "active_days_30": 1.0}
CHANGES = 20
CALLERS = 8


class Caller:
    """A caller of one server, for one tenant."""

    def __init__(self, address: str, tenant: str) -> None:
        self.channel = grpc.insecure_channel(address)
        self.models = Models(self.channel, tenant)
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(self.channel)
        self._metadata = (("x-keepwell-tenant", tenant),)

    def decide(self, lead_id: str = "lead") -> pb.Decision:
        request = decision_service_pb2.DecideRequest(lead_id=lead_id, features=pb.Features(numbers=NUMBERS))
        return self._decisions.Decide(request, metadata=self._metadata, timeout=20).decision

    def matches(self, decision: pb.Decision) -> bool:
        request = decision_service_pb2.VerifyDecisionRequest(decision_id=decision.decision_id)
        return self._decisions.VerifyDecision(request, metadata=self._metadata, timeout=20).match

    def decides_by(self, version: str) -> bool:
        """Return whether it does before half a minute is over."""
        deadline = time.monotonic() + 30
        while self.decide().model_version != version:
            if time.monotonic() > deadline:
                return False
        return True


def probability(scorer: Scorer) -> float:
    numeric = matrix_of([numbers_row(NUMBERS)[0]])
    return float(scorer.score(numeric, [UNKNOWN_CATEGORIES])[0])


@pytest.fixture(scope="module")
def store_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A store of these tests alone: they count models that are behind over all tenants."""
    store = EmbeddedStore.start(tmp_path_factory.mktemp("models"))
    yield store.url
    store.stop()


@pytest.fixture
def artifacts() -> list[tuple[str, Files]]:
    return [shifted(0.7), shifted(1.4)]


@pytest.fixture
def pair(store_url: str, tenant: str) -> Iterator[list[Caller]]:
    """Two servers on one store."""
    servers = [start_server("--redis-url", store_url)]
    servers.append(start_server("--redis-url", store_url))
    callers = [Caller(server.address, tenant) for server in servers]
    yield callers
    for caller, server in zip(callers, servers, strict=True):
        caller.channel.close()
        assert server.stop() == 0


def test_no_call_fails_while_models_change_and_each_decision_names_the_one_that_scored_it(
    pair: list[Caller], artifacts: list[tuple[str, Files]]
) -> None:
    expected = {version: probability(load_artifact(files, canary=False)) for version, files in artifacts}
    shipped = Scorer.load(SHIPPED)
    expected[shipped.version] = probability(shipped)
    for artifact in artifacts:
        pair[0].models.push(artifact)
    made: list[pb.Decision] = []
    ending = threading.Event()

    def ask(number: int) -> None:
        for turn in itertools.count():
            made.append(pair[(number + turn) % 2].decide(f"lead-{number}-{turn}"))
            if ending.is_set():
                return

    with ThreadPoolExecutor(CALLERS) as pool:
        asking = [pool.submit(ask, number) for number in range(CALLERS)]
        try:
            for change in range(CHANGES):
                models = pair[change % 2].models
                if change % 2:
                    models.roll_back()
                else:
                    models.activate(artifacts[change // 2 % 2][0])
            last = pair[0].models.activate(artifacts[1][0]).version
        finally:
            ending.set()
        for future in asking:
            future.result()
    assert [caller.decides_by(last) for caller in pair] == [True, True]
    assert {decision.model_version for decision in made} == set(expected)
    assert all(decision.assessment.churn_probability == expected[decision.model_version] for decision in made)
    for version in expected:
        named = [decision for decision in made if decision.model_version == version][:20]
        assert all(pair[place % 2].matches(decision) for place, decision in enumerate(named))


def flip(store_url: str, tenant: str, version: str) -> None:
    """Change one byte of a model in the store."""
    client = Redis.from_url(store_url)
    data = bytearray(client.hget(model_key(tenant, version), "trees.json") or b"")  # type: ignore[arg-type]
    data[len(data) // 2] ^= 1
    client.hset(model_key(tenant, version), "trees.json", bytes(data))
    client.close()


def test_a_model_that_was_damaged_in_the_store_is_refused_and_the_one_before_goes_on(
    pair: list[Caller], artifacts: list[tuple[str, Files]], store_url: str, tenant: str
) -> None:
    good, damaged = (pair[0].models.push(artifact) for artifact in artifacts)
    pair[0].models.activate(good)
    flip(store_url, tenant, damaged)
    with pytest.raises(grpc.RpcError, match=r"trees\.json was changed after it was made") as error:
        pair[0].models.activate(damaged)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert pair[0].models.get().version == good
    assert [caller.decides_by(good) for caller in pair] == [True, True]


def test_a_new_process_that_cannot_load_the_active_model_scores_by_the_one_before_and_says_so(
    pair: list[Caller], artifacts: list[tuple[str, Files]], store_url: str, tenant: str
) -> None:
    before, active = (pair[0].models.push(artifact) for artifact in artifacts)
    pair[0].models.activate(before)
    pair[0].models.activate(active)
    flip(store_url, tenant, active)
    page = f"127.0.0.1:{free_port() + 1}"
    server = start_server("--redis-url", store_url, environment={"KEEPWELL_METRICS_LISTEN": page})
    late = Caller(server.address, tenant)
    assert late.decide().model_version == before
    assert late.models.get().version == active
    assert late.models.get().load_error == "trees.json was changed after it was made"
    assert "\nkeepwell_models_behind 1.0\n" in urlopen(f"http://{page}/metrics").read().decode()
    late.channel.close()
    assert server.stop() == 0


def test_a_server_that_dies_in_the_middle_of_an_upload_leaves_nothing(
    tmp_path: Path, artifacts: list[tuple[str, Files]]
) -> None:
    store = EmbeddedStore.start(tmp_path)
    server = start_server("--redis-url", store.url)
    version, files = artifacts[0]

    def half() -> Iterator[messages.UploadModelRequest]:
        everything = list(pieces(files))
        yield from everything[: len(everything) // 2]
        server.stop(signal.SIGKILL)
        yield from everything[len(everything) // 2 :]

    dying = Caller(server.address, "default")
    with pytest.raises(grpc.RpcError):
        dying.models.send(half())
    dying.channel.close()
    client = Redis.from_url(store.url)
    assert list(client.scan_iter("{default/0}:model*")) == []
    client.close()
    again = start_server("--redis-url", store.url)
    caller = Caller(again.address, "default")
    assert version not in caller.models.versions()
    assert caller.models.push(artifacts[0]) == version
    caller.channel.close()
    assert again.stop() == 0
    store.stop()


def test_after_a_restart_the_active_model_scores_the_first_call(
    tmp_path: Path, artifacts: list[tuple[str, Files]]
) -> None:
    first = start_server("--data-dir", str(tmp_path))
    caller = Caller(first.address, "default")
    versions = [caller.models.push(artifact) for artifact in artifacts]
    made = [caller.decide()]
    for version in versions:
        caller.models.activate(version)
        made.append(caller.decide())
    caller.channel.close()
    assert first.stop() == 0
    second = start_server("--data-dir", str(tmp_path))
    caller = Caller(second.address, "default")
    assert caller.decide().model_version == versions[1]
    assert caller.models.get().version == versions[1]
    assert [caller.matches(decision) for decision in made] == [True, True, True]
    caller.channel.close()
    assert second.stop() == 0


def test_decisions_of_an_older_shipped_model_can_be_made_again_until_it_is_gone(
    tmp_path: Path, artifacts: list[tuple[str, Files]]
) -> None:
    old = tmp_path / "old release"
    old.mkdir()
    version, files = artifacts[0]
    for name, data in files.items():
        (old / name).write_bytes(data)
    store = EmbeddedStore.start(tmp_path / "store")
    server = start_server("--redis-url", store.url, environment={"KEEPWELL_MODEL_DIR": str(old)})
    caller = Caller(server.address, "default")
    decision = caller.decide()
    assert decision.model_version == version
    caller.channel.close()
    assert server.stop() == 0
    server = start_server("--redis-url", store.url)
    caller = Caller(server.address, "default")
    assert caller.matches(decision)
    caller.channel.close()
    assert server.stop() == 0
    client = Redis.from_url(store.url)
    assert client.delete(f"keepwell:model:{version}") == 1
    client.close()
    server = start_server("--redis-url", store.url)
    caller = Caller(server.address, "default")
    with pytest.raises(grpc.RpcError, match="is not at hand: the store does not have it any more") as error:
        caller.matches(decision)
    assert error.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    caller.channel.close()
    assert server.stop() == 0
    store.stop()
