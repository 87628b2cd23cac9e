import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from keepwell.v1.decision_pb2 import Features
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell.v1.feed_service_pb2 import ListSubscriptionsRequest
from keepwell.v1.lead_pb2 import LeadProfile
from keepwell_client import Client

EXAMPLES = Path(__file__).resolve().parents[2] / "clients" / "python" / "examples"
README = EXAMPLES.parents[2] / "README.md"
ANYTIME = LeadProfile(time_zone="Europe/Paris")


def run(name: str, *arguments: str) -> list[str]:
    """Return the lines that an example prints."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()


def contact(server: str, tenant: str, *lead_ids: str) -> None:
    with Client(server, tenant) as client:
        for lead_id in lead_ids:
            client.decide(DecideRequest(lead_id=lead_id, churn_probability=0.5, profile=ANYTIME))


def test_a_decision_is_asked_for_and_answered_again(server: str, tenant: str) -> None:
    first, again = run("decide.py", server, tenant), run("decide.py", server, tenant)
    assert first[0].endswith("replayed: False")
    assert again[0].endswith("replayed: True")
    assert first[1:] == again[1:]
    assert len(first) >= 4


def test_the_example_and_the_readme_s_request_do_not_get_into_each_other_s_way(server: str, tenant: str) -> None:
    features = Features(numbers={"days_since_last_activity": 21, "active_days_30": 1})
    with Client(server, tenant) as client:
        client.decide(
            DecideRequest(request_id="crm-4711-2026-03-02", lead_id="lead-4711", features=features, explain=True)
        )
    assert run("decide.py", server, tenant)[0].endswith("replayed: False")


def test_a_portfolio_is_decided_and_its_bad_lead_named(server: str, tenant: str) -> None:
    error, *counts = run("portfolio.py", server, tenant)
    assert error.startswith("a b INVALID_ARGUMENT/INVALID_FIELD")
    assert "VERDICT_NO_ACTION 300" in counts
    assert sum(int(line.split()[1]) for line in counts) == 999


def test_the_feed_is_followed_and_gone_on_with(server: str, tenant: str, tmp_path: Path) -> None:
    contact(server, tenant, "lead-1", "lead-2")
    file = str(tmp_path / "token")
    expected = [f"lead-{number} INTERVENTION_STAGE_EARLY_WARNING 1" for number in (1, 2, 3)]
    assert run("follow_feed.py", server, tenant, file, "2") == expected[:2]
    contact(server, tenant, "lead-3")
    assert run("follow_feed.py", server, tenant, file, "3")[-1] == expected[2]


def test_outcomes_of_interventions_are_reported(server: str, tenant: str) -> None:
    contact(server, tenant, "lead-1", "lead-2")
    lines = run("report_outcomes.py", server, tenant, "2")
    assert [line.split()[0] for line in lines] == ["lead-1", "reported:", "lead-2", "reported:"]


def test_an_escalation_is_taken_and_closed(server: str, tenant: str) -> None:
    assert run("escalate.py", server, tenant) == [
        "lead-4712 goes to manager because critical_risk at churn probability 0.95",
        "ESCALATION_STATE_ACKNOWLEDGED by dana",
        "ESCALATION_STATE_RESOLVED",
    ]


def test_the_readme_s_samples_run_one_after_the_other_as_they_stand(server: str, tenant: str) -> None:
    deciding, recording, working, reporting = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    for sample in (deciding.replace("127.0.0.1:50051", f'{server}", "{tenant}'), recording, reporting):
        exec(sample, names)
    assert names["answer"].accepted == 1
    assert [ack.status.code for ack in names["acks"]] == [0]
    with ThreadPoolExecutor(1) as threads:
        endless = threads.submit(exec, working, names)
        while (
            not names["client"].call(names["client"].feed.ListSubscriptions, ListSubscriptionsRequest()).subscriptions
        ):
            time.sleep(0.01)  # the test's timeout ends it
        names["client"].close()
        assert endless.result(timeout=10) is None
