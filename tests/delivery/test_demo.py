"""The demo with delivery, while its processes are killed: it ends with 0 when every granted contact is accounted for."""

import re
import subprocess
import sys

import pytest


@pytest.mark.workers
@pytest.mark.timeout(300)
def test_every_contact_is_accounted_for_while_workers_server_and_store_are_killed() -> None:
    command = [sys.executable, "-m", "server", "demo", "--deliver", "--headless", "--leads", "60", "--chaos", "12"]
    demo = subprocess.run(command, check=False, capture_output=True, text=True)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    said = {label: int(count) for label, count in re.findall(r"│ ([a-z ]+?) {2,}(\d+) ", demo.stdout)}
    assert said["contacted too often"] == 0
    assert said["went quiet"] > 0
    assert said["killed"] >= 3
    assert re.search(r"granted contacts +[1-9]\d* +delivered exactly once", demo.stdout)
