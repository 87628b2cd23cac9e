"""Escalations of leads that a policy holds out which it did not before: nobody may act on the control group."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from server.policies import SHIPPED
from server.store.embedded import EmbeddedStore
from tests.conftest import start_server
from tests.integration.escalations import ACKNOWLEDGED, EXPIRED, HOUR, OPEN, Escalations, until
from tests.integration.outcomes import NOW

TENANT = "shop"  # where lead-2 and lead-4 are among the first tenth, and lead-0 and lead-6 in the second half


@contextmanager
def holding_out(percent: int, store: EmbeddedStore, folder: Path) -> Iterator[Escalations]:
    policy = folder / f"{percent}.yaml"
    text = (
        SHIPPED.read_text()
        .replace("max_share: 0.05", "max_share: 1.0")
        .replace("critical_risk: 1h", "critical_risk: 90d")
    )
    policy.write_text(text.replace("holdout: {percent: 5,", f"holdout: {{percent: {percent},"))
    running = start_server("--redis-url", store.url, "--clock", "manual", "--policy", str(policy))
    try:
        with grpc.insecure_channel(running.address) as channel:
            yield Escalations(channel, TENANT)
    finally:
        stopped = running.stop()
    assert stopped == 0


@pytest.fixture
def raised(own_store: EmbeddedStore, tmp_path: Path) -> dict[str, str]:
    """Escalations that were raised when nobody was held out."""
    with holding_out(0, own_store, tmp_path) as before:
        return {lead: before.raised(lead) for lead in ("lead-0", "lead-2", "lead-4", "lead-6")}


def test_an_escalation_ends_when_its_lead_comes_into_the_control_group(
    own_store: EmbeddedStore, tmp_path: Path, raised: dict[str, str]
) -> None:
    with holding_out(10, own_store, tmp_path) as now:
        now.acknowledge(raised["lead-6"])
        assert now.get(raised["lead-2"]).state == OPEN
        assert [now.decide(lead, 0.9).holdout_arm for lead in ("lead-2", "lead-6")] == ["holdout", "treatment"]
        decided = now.get(raised["lead-2"])
        assert (decided.state, decided.resolution) == (EXPIRED, "the lead is held out")
        assert now.get(raised["lead-6"]).state == ACKNOWLEDGED
        changes = now.watch()
        now.move_clock(HOUR)
        assert until(changes, raised["lead-0"], level=2).target == "director"
        nobody_asked = now.get(raised["lead-4"])
        assert (nobody_asked.state, nobody_asked.level, nobody_asked.target) == (EXPIRED, 1, "manager")
        assert nobody_asked.resolution == "the lead is held out"
    assert now.now == NOW + HOUR
