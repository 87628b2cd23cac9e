"""Policy files as an operator has them: broken, removed, not there. No tenant comes under another policy than its own unnoticed."""

import os
import shutil
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc
from redis import Redis

from server.policies import SHIPPED
from server.store.keys import Partition, policy_key
from tests.conftest import NotReadyError, Running, start_server
from tests.integration.test_feed import reason_of

DEFAULT = SHIPPED.read_text()


def named(name: str) -> str:
    return DEFAULT.replace("name: default", f"name: {name}")


class Operator:
    """A server with a policy for all and a folder of others, and its log."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self.folder = folder / "policies"
        self.folder.mkdir()
        self.common = folder / "common.yaml"
        self._log = folder / "log"
        self._store_url = store_url
        self.running: Running | None = None

    def start(self) -> None:
        options = ["--redis-url", self._store_url, "--policy", str(self.common), "--policy-dir", str(self.folder)]
        with self._log.open("w") as log:
            environment = {"KEEPWELL_LOG_LEVEL": "info", "KEEPWELL_REVIEWS": "false"}
            self.running = start_server(*options, environment=environment, stderr=log.fileno())

    def stop(self) -> None:
        if self.running is not None:
            assert self.running.stop() == 0
            self.running = None

    def reload(self, until: str) -> None:
        """Return once the log has said so once more."""
        assert self.running is not None
        before = self.log().count(f'"event":"{until}"')
        self.running.process.send_signal(signal.SIGHUP)
        while self.log().count(f'"event":"{until}"') == before:
            time.sleep(0.01)

    def log(self) -> str:
        return self._log.read_text()

    def call(self, tenant: str, name: str, request: object) -> messages.DecideResponse:
        assert self.running is not None
        with grpc.insecure_channel(self.running.address) as channel:
            stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
            answer: messages.DecideResponse = getattr(stub, name)(request, metadata=(("x-keepwell-tenant", tenant),))
            return answer

    def policy_of(self, tenant: str) -> str:
        request = messages.DecideRequest(lead_id=uuid.uuid4().hex, churn_probability=0.5)
        return self.call(tenant, "Decide", request).decision.policy_name


@pytest.fixture
def operator(tmp_path: Path, store_url: str) -> Iterator[Operator]:
    made = Operator(tmp_path, store_url)
    made.common.write_text(named("common"))
    yield made
    made.stop()


@pytest.mark.timeout(60)
def test_a_file_that_is_no_text_keeps_its_policy_and_all_others_are_reloaded(operator: Operator) -> None:
    for tenant in ("acme", "zeta"):
        (operator.folder / f"{tenant}.yaml").write_text(named(f"{tenant}-1"))
    operator.start()
    (operator.folder / "acme.yaml").write_bytes(named("acme-2").encode() + b"# caf\xe9\n")
    (operator.folder / "zeta.yaml").write_text(named("zeta-2"))
    operator.reload("policy_kept")
    while operator.policy_of("zeta") != "zeta-2":
        time.sleep(0.01)
    assert operator.policy_of("acme") == "acme-1"
    assert "not_utf_8: byte 0xe9 is not UTF-8" in operator.log()


@pytest.mark.timeout(60)
def test_a_tenant_whose_file_is_removed_comes_under_the_common_policy_and_the_log_says_so(operator: Operator) -> None:
    (operator.folder / "acme.yaml").write_text(named("own"))
    operator.start()
    assert (operator.policy_of("acme"), operator.policy_of("other")) == ("own", "common")
    (operator.folder / "acme.yaml").unlink()
    operator.reload("policy_removed")
    assert operator.policy_of("acme") == "common"


@pytest.mark.timeout(60)
def test_a_folder_that_is_gone_takes_nobodys_policy_away(operator: Operator) -> None:
    (operator.folder / "acme.yaml").write_text(named("own"))
    operator.start()
    shutil.rmtree(operator.folder)
    operator.reload("policy_kept")
    assert operator.policy_of("acme") == "own"
    assert "is no folder of policies" in operator.log()
    operator.stop()
    with pytest.raises(NotReadyError):
        operator.start()
    assert f"cannot serve: {operator.folder} is no folder of policies" in operator.log()


@pytest.mark.timeout(60)
def test_a_broken_file_at_the_start_is_named_with_its_tenant(operator: Operator) -> None:
    (operator.folder / "acme.yaml").write_text(DEFAULT.replace("max: 3,", "max: -3,"))
    with pytest.raises(NotReadyError):
        operator.start()
    assert f'"tenant":"acme","file":"{operator.folder}/acme.yaml","event":"policy_refused"' in operator.log()
    assert f"cannot serve: {operator.folder}/acme.yaml:29:" in operator.log()


@pytest.mark.timeout(60)
def test_a_decision_is_made_again_by_the_policy_of_its_time_while_the_store_has_it(
    operator: Operator, store_url: str, tenant: str
) -> None:
    operator.start()
    decision = operator.call(tenant, "Decide", messages.DecideRequest(lead_id="lead", churn_probability=0.5)).decision
    operator.stop()
    operator.common.write_text(named("next").replace("{above: 0.3}", "{above: 0.55}"))
    operator.start()
    verify = messages.VerifyDecisionRequest(decision_id=decision.decision_id)
    assert operator.call(tenant, "VerifyDecision", verify).match  # type: ignore[attr-defined]
    assert operator.policy_of(tenant) == "next"
    operator.stop()
    operator.start()
    with Redis.from_url(store_url) as store:
        assert store.exists(Partition(tenant, 0).log)
        assert store.delete(policy_key(tenant, decision.policy_version)) == 1
    with pytest.raises(grpc.RpcError) as error:
        operator.call(tenant, "VerifyDecision", verify)
    assert reason_of(error.value) == ("FAILED_PRECONDITION", "REPLAY_UNAVAILABLE")


@pytest.mark.timeout(60)
def test_many_reloads_at_once_are_two_at_most(operator: Operator) -> None:
    operator.start()
    assert operator.running is not None
    operator.common.write_text(named("second"))
    for _ in range(200):
        operator.running.process.send_signal(signal.SIGHUP)
    while operator.policy_of("anybody") != "second":
        time.sleep(0.01)
    operator.stop()  # at once: there is no queue of them to wait for
    assert 1 <= operator.log().count('"event":"policy_active"') <= 2


@pytest.mark.timeout(60)
def test_what_is_no_file_keeps_its_policy_and_holds_nobody_up(operator: Operator) -> None:
    for tenant in ("acme", "beta", "zeta"):
        (operator.folder / f"{tenant}.yaml").write_text(named(f"{tenant}-1"))
    operator.start()
    (operator.folder / "acme.yaml").unlink()
    os.mkfifo(operator.folder / "acme.yaml")  # opened, it waits for somebody to write
    (operator.folder / "beta.yaml").unlink()
    (operator.folder / "beta.yaml").symlink_to("/dev/zero")  # read, it never ends
    (operator.folder / "zeta.yaml").write_text(named("zeta-2"))
    operator.reload("policy_kept")
    while operator.policy_of("zeta") != "zeta-2":
        time.sleep(0.01)
    assert [operator.policy_of(tenant) for tenant in ("acme", "beta")] == ["acme-1", "beta-1"]
    assert operator.log().count("not a regular file") == 2


@pytest.mark.timeout(60)
def test_a_file_that_is_larger_than_a_policy_can_be_is_not_read_on(operator: Operator) -> None:
    most = 256 * 1_024
    operator.common.write_bytes(named("most").encode().ljust(most, b"#"))
    operator.start()
    assert operator.policy_of("anybody") == "most"
    operator.common.write_bytes(named("more").encode().ljust(most, b"#") + b"\xff")
    operator.reload("policy_kept")
    assert "too_large" in operator.log()
    assert operator.policy_of("anybody") == "most"


@pytest.mark.timeout(60)
def test_a_file_that_was_meant_for_a_tenant_is_named(operator: Operator) -> None:
    for name in ("acme.yml", "Bad Name.yaml", "good.yaml", "good_test.yaml", "README.md"):
        (operator.folder / name).write_text(named("own"))
    operator.start()
    assert [operator.policy_of(tenant) for tenant in ("acme", "good")] == ["common", "own"]
    ignored = [line for line in operator.log().splitlines() if '"document_ignored"' in line]
    assert [
        name for name in ("acme.yml", "Bad Name.yaml", "good", "README.md") if any(name in line for line in ignored)
    ] == [
        "acme.yml",
        "Bad Name.yaml",
    ]
