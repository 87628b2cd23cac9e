import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from redis import Redis

from server.store.embedded import EmbeddedStore, StoreLockedError, StoreStartError
from tests.conftest import NotReadyError, start_server

STARTER = """
import sys, time
from pathlib import Path
from server.store.embedded import EmbeddedStore
print(EmbeddedStore.start(Path(sys.argv[1])).pid, flush=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_two_services_never_share_a_store_folder(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path)
    with pytest.raises(StoreLockedError):
        EmbeddedStore.start(tmp_path)
    store.stop()
    EmbeddedStore.start(tmp_path).stop()


def test_what_was_confirmed_survives_a_kill_of_the_store(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path)
    client = Redis.from_url(store.url)
    for number in range(200):
        client.set(f"key-{number}", number)
    client.close()
    assert store._process is not None
    store._process.kill()
    store._process.wait()
    assert store.ensure_running()
    client = Redis.from_url(store.url)
    assert client.dbsize() == 200
    client.close()
    store.stop()


def test_a_store_that_does_not_come_up_lets_go_of_its_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreStartError):
        EmbeddedStore.start(tmp_path, "false")
    EmbeddedStore.start(tmp_path).stop()


def test_the_store_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        pid = int(starter.stdout.readline())
        assert is_alive(pid)
        os.kill(starter.pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    EmbeddedStore.start(tmp_path).stop()


@pytest.mark.timeout(60)
def test_a_service_on_a_folder_in_use_says_by_whom_and_ends(tmp_path: Path) -> None:
    store = EmbeddedStore.start(tmp_path / "store")
    with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError) as ended:
        start_server("--data-dir", str(tmp_path), stderr=log.fileno())
    assert ended.value.args == (1,)
    assert f"store: {tmp_path}/store is in use by process {os.getpid()}\n" in (tmp_path / "log").read_text()
    store.stop()


@pytest.mark.timeout(60)
def test_a_service_whose_store_does_not_come_up_says_what_is_in_its_log(tmp_path: Path) -> None:
    environment = {"KEEPWELL_STORE_BINARY": "false"}
    with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError) as ended:
        start_server("--data-dir", str(tmp_path), environment=environment, stderr=log.fileno())
    assert ended.value.args == (1,)
    assert "store: the store did not come up; its log ends:\n(empty)" in (tmp_path / "log").read_text()
