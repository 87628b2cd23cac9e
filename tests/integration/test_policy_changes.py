"""What a policy or the tenant's zone counted before it was changed: counted on, and made again as it was."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc

from tests.conftest import Running, start_server

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
POLICY = """
schema: keepwell.policy/v1
name: changed
interventions:
  early_warning: [{channel: email, playbook: hello}]
  active_risk: [{channel: email, playbook: hello}]
  critical_risk: [{channel: email, playbook: hello}]
limits:
  - LIMIT
"""
A_DAY = "{name: cap, scope: tenant, channel: email, max: 2, window: {calendar: day, time_zone: UTC}}"
A_WEEK = "{name: cap, scope: tenant, channel: email, max: 6, window: {rolling: 7d}}"
TENANTS_DAY = "{name: daily, channel: email, max: 1, window: {calendar: day, time_zone: tenant}}"


class Decisions:
    def __init__(self, running: Running) -> None:
        self.running = running
        self._channel = grpc.insecure_channel(running.address)
        self._stub = decision_service_pb2_grpc.DecisionServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()
        assert self.running.stop() == 0

    def decide(self, lead_id: str, at: datetime) -> pb.Decision:
        request = messages.DecideRequest(lead_id=lead_id, churn_probability=0.5)
        return self._stub.Decide(request, metadata=(("x-keepwell-now", at.isoformat()),)).decision

    def contacts(self, lead_id: str, at: datetime) -> int:
        return len(self.decide(lead_id, at).interventions)

    def version(self) -> str:
        return self._stub.Preview(
            messages.DecideRequest(lead_id="nobody", churn_probability=0.5)
        ).decision.policy_version

    def match(self, decision_id: str) -> bool:
        return self._stub.VerifyDecision(messages.VerifyDecisionRequest(decision_id=decision_id)).match


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[Decisions]:
    """Serve by the policy in the folder, on the data there."""
    options = ["--data-dir", str(folder), "--clock", "manual", "--policy", str(folder / "policy.yaml")]
    decisions = Decisions(start_server(*options, environment={"KEEPWELL_REVIEWS": "false", **environment}))
    yield decisions
    decisions.close()


def write(folder: Path, limit: str) -> None:
    (folder / "policy.yaml").write_text(POLICY.replace("LIMIT", limit))


@pytest.mark.timeout(60)
def test_a_tenant_wide_limit_that_is_made_longer_counts_what_was_granted_before(tmp_path: Path) -> None:
    write(tmp_path, A_DAY)
    with serving(tmp_path) as decisions:
        days = [NOON + timedelta(days=day) for day in range(3)]
        granted = [[decisions.contacts(f"{day:%d}-{lead}", day) for lead in range(3)] for day in days]
        assert granted == [[1, 1, 0]] * 2 + [[1, 1, 0]]
        before = decisions.version()
        write(tmp_path, A_WEEK)
        decisions.running.process.send_signal(signal.SIGHUP)
        while decisions.version() == before:
            time.sleep(0.01)
        # Six in seven days, all of them granted in the last three.
        assert decisions.contacts("new", days[-1] + timedelta(days=1)) == 0
        # The first two are seven days old by now.
        assert [decisions.contacts(f"newer-{lead}", NOON + timedelta(days=7)) for lead in range(3)] == [1, 1, 0]


@pytest.mark.timeout(60)
def test_a_decision_is_made_again_by_the_zone_that_its_tenant_had(tmp_path: Path) -> None:
    write(tmp_path, TENANTS_DAY)
    # Midnight in Tokyo is three in the afternoon here: these two lie on one day here, on two days there.
    first, second = NOON + timedelta(hours=2, minutes=30), NOON + timedelta(hours=3, minutes=30)
    with serving(tmp_path) as decisions:
        made = [decisions.decide("lead", at) for at in (first, second)]
        assert [len(each.interventions) for each in made] == [1, 0]
    with serving(tmp_path, KEEPWELL_TENANT_TIME_ZONE="Asia/Tokyo") as decisions:
        assert [decisions.match(each.decision_id) for each in made] == [True, True]
        assert decisions.match(decisions.decide("lead", second + timedelta(minutes=1)).decision_id)
