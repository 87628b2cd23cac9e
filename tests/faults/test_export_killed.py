import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import grpc
import pyarrow.dataset as ds
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc

from server.cold.layout import files_of
from server.store.embedded import EmbeddedStore
from tests.conftest import start_server

DECISIONS = 600
KILLS = 6


def decide(address: str) -> set[str]:
    requests = [
        messages.DecideRequest(request_id=f"r{n}", lead_id=f"lead{n % 50}", churn_probability=0.5)
        for n in range(DECISIONS)
    ]
    with grpc.insecure_channel(address) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        answers = stub.DecideStream(iter([messages.DecideStreamRequest(requests=requests)]))
        return {result.decision.decision_id for answer in answers for result in answer.results}


def export(url: str, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "server", "export", "--to", str(folder), "--redis-url", url, "--rows", "10"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def exported(folder: Path) -> Counter[str]:
    return Counter(ds.dataset(folder, partitioning="hive").to_table(columns=["decision_id"])["decision_id"].to_pylist())


def killed_exports(url: str, folder: Path) -> None:
    """Kill exports in the middle of their work, a little later each time."""
    for kill in range(1, KILLS + 1):
        process = export(url, folder)
        assert process.stdout
        for _ in range(kill):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate()


def test_an_export_that_is_killed_again_and_again_has_every_decision_exactly_once(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    server = start_server("--redis-url", store.url)
    try:
        made = decide(server.address)
        killed_exports(store.url, tmp_path / "export")
        partly = exported(tmp_path / "export")
        assert 0 < len(partly) < DECISIONS
        unfinished = files_of(tmp_path / "export", "default")[-1].path.with_name(".half.parquet.unfinished")
        unfinished.write_bytes(b"PAR1")  # what a kill in the middle of a file leaves
        assert export(store.url, tmp_path / "export").communicate()[0]
        assert not unfinished.exists()
    finally:
        assert server.stop() == 0
        store.stop()
    assert exported(tmp_path / "export") == Counter(dict.fromkeys(made, 1))


def test_a_file_whose_name_says_less_than_it_holds_is_seen_as_duplicates(tmp_path: Path) -> None:
    """The negative control: the names of the files are the position, and a wrong one does what the test above would see."""
    store = EmbeddedStore.start(tmp_path / "store")
    server = start_server("--redis-url", store.url)
    try:
        made = decide(server.address)
        export(store.url, tmp_path / "export").communicate()
        last = files_of(tmp_path / "export", "default")[-1]
        last.path.rename(last.path.with_name(f"{last.first}_{last.first}.parquet"))
        export(store.url, tmp_path / "export").communicate()
    finally:
        assert server.stop() == 0
        store.stop()
    found = exported(tmp_path / "export")
    assert set(found) == made
    assert sum(found.values()) == DECISIONS + 9
