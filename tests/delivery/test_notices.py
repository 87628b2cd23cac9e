"""Who is told of an escalation, and how often."""

import pytest
from keepwell.v1.decision_pb2 import Escalation
from keepwell_delivery.journal import Journal, State

from tests.delivery.desk import Desk
from tests.delivery.provider import DROP, Answer, Provider


@pytest.fixture
def notifying(desk: Desk, provider: Provider) -> Desk:
    """A desk at which managers and directors have an endpoint each; it is two minutes before the escalations below are due."""
    for target in ("manager", "director"):
        hook = {"kind": "webhook", "url": f"{provider.url}/{target}", "secret": "env:WEBHOOK_SECRET"}
        desk.settings.setdefault("escalations", {})[target] = hook
    desk.now = 1_000.0
    return desk


def escalation(target: str, level: int) -> Escalation:
    raised = Escalation(escalation_id="e7", target=target, level=level, lead_id="lead", reason="critical")
    raised.due_time.FromSeconds(1_120)
    return raised


def test_each_level_is_told_once_and_the_next_target_is_another(notifying: Desk, provider: Provider) -> None:
    for raised in (
        escalation("manager", 1),
        escalation("manager", 1),
        escalation("director", 2),
        escalation("director", 2),
    ):
        assert notifying.notify(raised) is None
    assert [asked.path for asked in provider.asked] == ["/manager", "/director"]
    assert [asked.headers["webhook-id"] for asked in provider.asked] == ["e7.1", "e7.2"]


def test_a_notice_that_did_not_arrive_is_sent_again_under_the_same_id(notifying: Desk, provider: Provider) -> None:
    provider.answers = [Answer(503), DROP]
    assert [notifying.notify(escalation("manager", 1)) for _ in range(4)] == [5.0, 10.0, None, None]
    assert [asked.headers["webhook-id"] for asked in provider.asked] == ["e7.1"] * 3


def test_a_notice_that_a_killed_worker_had_begun_is_sent_again_by_a_chat_that_knows_no_keys(
    notifying: Desk, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT", provider.url.replace("http", "json") + "/team")
    notifying.settings["escalations"]["manager"] = {"kind": "chat", "url": "env:CHAT"}
    journal = Journal(notifying.folder / "delivery.sqlite3")
    assert journal.begin("e7.1", None, now=990.0, busy_until=1_001.0)
    journal.close()
    assert notifying.notify(escalation("manager", 1)) == 1.0  # the send may still be under way
    assert provider.asked == []
    notifying.now = 1_001.0
    assert [notifying.notify(escalation("manager", 1)) for _ in range(2)] == [None, None]
    assert [asked.path for asked in provider.asked] == ["/team"]
    assert notifying.entry("e7.1").state is State.SENT


def test_nobody_is_told_once_it_is_due_as_it_goes_to_the_next_target(notifying: Desk, provider: Provider) -> None:
    notifying.now = 1_120.0
    assert notifying.notify(escalation("manager", 1)) is None
    assert provider.asked == []


def test_a_target_that_is_not_configured_is_passed_over(notifying: Desk, provider: Provider) -> None:
    assert notifying.notify(escalation("owner", 1)) is None
    assert provider.asked == []
