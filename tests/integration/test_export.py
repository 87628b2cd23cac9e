import subprocess
import sys
from pathlib import Path

import grpc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc, feed_service_pb2, feed_service_pb2_grpc

from server.store.embedded import EmbeddedStore
from tests.conftest import Running, start_server
from tests.integration.test_feed import EARLIEST
from tests.integration.test_retention import info_of, trim_to

MONDAY, TUESDAY, LATER = "2026-03-02T12:00:00Z", "2026-03-03T12:00:00Z", "2026-03-04T12:00:00Z"
DAY_MS = 86_400_000


class Service:
    """A server with an export folder, on a store of its own."""

    def __init__(self, url: str, folder: Path, running: Running, channel: grpc.Channel) -> None:
        self.url = url
        self.folder = folder
        self.running = running
        self.stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self.feed = feed_service_pb2_grpc.FeedServiceStub(channel)

    def decide(self, now: str, tenant: str = "default", lead_id: str = "lead") -> str:
        metadata = (("x-keepwell-tenant", tenant), ("x-keepwell-now", now))
        request = messages.DecideRequest(lead_id=lead_id, churn_probability=0.5)
        return self.stub.Decide(request, metadata=metadata).decision.decision_id

    def export(self, *options: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "server", "export", "--to", str(self.folder), "--redis-url", self.url]
        return subprocess.run([*command, *options], check=False, capture_output=True, text=True)

    def exported(self) -> list[tuple[str, str, str]]:
        """Return tenant, day and decision id of everything that was exported, as any reader of Parquet finds it."""
        table = ds.dataset(self.folder, partitioning="hive").to_table()
        table = table.sort_by([("tenant", "ascending"), ("log_ms", "ascending"), ("log_sequence", "ascending")])
        return [(row["tenant"], row["day"], row["decision_id"]) for row in table.to_pylist()]

    def listed(self, tenant: str = "default") -> list[str]:
        request = messages.ListDecisionsRequest(lead_id="lead")
        answer = self.stub.ListDecisions(request, metadata=(("x-keepwell-tenant", tenant),))
        return [decision.decision_id for decision in answer.decisions]


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    store = EmbeddedStore.start(tmp_path_factory.mktemp("store"))
    folder = tmp_path_factory.mktemp("export")
    environment = {"KEEPWELL_EXPORT_DIR": str(folder), "KEEPWELL_REVIEWS": "false"}
    running = start_server("--redis-url", store.url, "--clock", "manual", environment=environment)
    with grpc.insecure_channel(running.address) as channel:
        yield Service(store.url, folder, running, channel)
    assert running.stop() == 0
    store.stop()


def of_tenant(service: Service, tenant: str) -> list[tuple[str, str]]:
    return [(day, decision_id) for whose, day, decision_id in service.exported() if whose == tenant]


def test_every_decision_is_exported_once_by_tenant_and_day_and_a_second_run_adds_what_is_new(
    exporting: Service,
) -> None:
    monday = [exporting.decide(MONDAY, "a") for _ in range(3)]
    tuesday = exporting.decide(TUESDAY, "a")
    other = exporting.decide(MONDAY, "b")
    assert exporting.export("--rows", "2").returncode == 0
    expected = [("2026-03-02", one) for one in monday] + [("2026-03-03", tuesday)]
    assert of_tenant(exporting, "a") == expected
    assert of_tenant(exporting, "b") == [("2026-03-02", other)]
    assert exporting.export().stdout == ""
    more = exporting.decide(TUESDAY, "a")
    assert exporting.export().returncode == 0
    assert of_tenant(exporting, "a") == [*expected, ("2026-03-03", more)]


def test_what_the_log_no_longer_holds_is_listed_looked_up_and_verified_from_the_export(exporting: Service) -> None:
    tenant = "cold"
    made = [exporting.decide(now, tenant) for now in (MONDAY, TUESDAY, LATER)]
    metadata = (("x-keepwell-tenant", tenant),)
    before = [
        exporting.stub.GetDecision(messages.GetDecisionRequest(decision_id=one), metadata=metadata) for one in made
    ]
    assert exporting.export().returncode == 0
    trimmed = trim_to(exporting.url, tenant, DAY_MS - 1)
    assert trimmed is not None
    assert trimmed.decisions == 2
    after = [
        exporting.stub.GetDecision(messages.GetDecisionRequest(decision_id=one), metadata=metadata) for one in made
    ]
    assert after == before
    assert exporting.listed(tenant) == made[::-1]
    for decision_id in made:
        request = messages.VerifyDecisionRequest(decision_id=decision_id)
        assert exporting.stub.VerifyDecision(request, metadata=metadata).match


def test_a_decision_is_found_after_the_store_has_forgotten_where_it_lay(exporting: Service) -> None:
    import redis

    made = exporting.decide(MONDAY, "forgotten")
    exporting.decide(LATER, "forgotten")
    assert exporting.export().returncode == 0
    trim_to(exporting.url, "forgotten", DAY_MS - 1)
    with redis.Redis.from_url(exporting.url) as store:
        assert store.delete(f"{{forgotten/0}}:decision:{made}") == 1  # its time is the retention and a day
    request = messages.GetDecisionRequest(decision_id=made)
    found = exporting.stub.GetDecision(request, metadata=(("x-keepwell-tenant", "forgotten"),))
    assert found.decision_id == made


def test_another_tenants_exported_decision_is_not_found(exporting: Service) -> None:
    made = exporting.decide(MONDAY, "mine")
    assert exporting.export().returncode == 0
    request = messages.GetDecisionRequest(decision_id=made)
    with pytest.raises(grpc.RpcError) as error:
        exporting.stub.GetDecision(request, metadata=(("x-keepwell-tenant", "theirs"),))
    assert info_of(error.value)[1].reason == "DECISION_NOT_FOUND"


def test_an_export_that_retention_has_overtaken_says_so_and_goes_on(exporting: Service) -> None:
    exporting.decide(MONDAY, "late")
    exporting.export()
    exporting.decide(MONDAY, "late")
    kept = exporting.decide(LATER, "late")
    trim_to(exporting.url, "late", DAY_MS)
    result = exporting.export()
    assert result.returncode == 3
    assert "were removed before they were exported" in result.stderr
    assert of_tenant(exporting, "late")[-1][1] == kept
    exporting.decide(LATER, "late")
    assert exporting.export().returncode == 0


def test_two_exports_do_not_write_to_one_folder(exporting: Service) -> None:
    command = [sys.executable, "-m", "server", "export", "--follow", "--to", str(exporting.folder)]
    exporting.decide(MONDAY, "locked")
    first = subprocess.Popen([*command, "--redis-url", exporting.url], stdout=subprocess.PIPE, text=True)
    assert first.stdout
    assert "tenant=locked" in first.stdout.readline()
    second = exporting.export()
    assert second.returncode == 1
    assert "another export writes to" in second.stderr
    first.terminate()
    first.communicate()
    assert first.returncode == 0


def test_the_files_carry_nothing_of_the_lead_beside_the_inputs_and_the_decision(exporting: Service) -> None:
    exporting.decide(MONDAY, "columns")
    exporting.export()
    (path,) = exporting.folder.glob("tenant=columns/day=2026-03-02/*.parquet")
    table = pq.read_table(path, partitioning=None)
    assert table.column_names == [
        "log_ms", "log_sequence", "decision_id", "lead_id", "decided_at", "verdict", "stage", "churn_probability",
        "channels", "escalated", "policy_version", "model_version", "decision", "hits", "inputs", "previous",
    ]  # fmt: skip
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_watch_of_an_exported_tenant_is_unchanged(exporting: Service) -> None:
    made = exporting.decide(MONDAY, "watched")
    exporting.export()
    request = feed_service_pb2.WatchDecisionsRequest(start=EARLIEST)
    watching = exporting.feed.WatchDecisions(request, metadata=(("x-keepwell-tenant", "watched"),), timeout=20)
    assert next(d.decision_id for response in watching for d in response.decisions) == made
