"""GoHighLevel: contacts in workflows, tasks for agents, and its documented errors."""

from typing import Any

import pytest
from keepwell.v1.decision_pb2 import INTERVENTION_CHANNEL_AGENT_ASSIGNMENT, INTERVENTION_CHANNEL_CRM_WORKFLOW

from tests.delivery.desk import Desk
from tests.delivery.provider import Answer, Provider


@pytest.fixture
def workflow(desk: Desk, provider: Provider) -> Desk:
    settings: dict[str, Any] = {"base_url": provider.url, "token": "env:TOKEN", "workflows": {"re_engage": "wf 1"}}
    desk.channel("crm_workflow", kind="gohighlevel_workflow", **settings)
    return desk


def test_a_contact_is_added_to_its_playbooks_workflow(workflow: Desk, provider: Provider) -> None:
    decision = workflow.only(INTERVENTION_CHANNEL_CRM_WORKFLOW)
    assert workflow.deliver(decision) is None
    (asked,) = provider.asked
    assert asked.path == "/contacts/contact%2F7/workflow/wf%201"
    assert (asked.headers["authorization"], asked.headers["version"]) == ("Bearer token-7", "2021-07-28")
    assert workflow.ended(decision) == ("sent", "", True)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [(Answer(401, {"message": "Invalid JWT"}), 60.0), (Answer(429, {}, (("Retry-After", "10"),)), 10.0)],
    ids=["401", "429"],
)
def test_gohighlevel_is_asked_again(workflow: Desk, provider: Provider, answer: Answer, seconds: float) -> None:
    provider.answers = [answer]
    decision = workflow.only(INTERVENTION_CHANNEL_CRM_WORKFLOW)
    assert [workflow.deliver(decision), workflow.deliver(decision, 2)] == [seconds, None]
    assert workflow.ended(decision) == ("sent", "", True)


def test_what_gohighlevel_cannot_process_is_given_back(workflow: Desk, provider: Provider) -> None:
    provider.answers = [Answer(422, {"statusCode": 422, "message": ["contact not found"]})]
    decision = workflow.only(INTERVENTION_CHANNEL_CRM_WORKFLOW)
    assert workflow.deliver(decision) is None
    assert workflow.ended(decision) == ("failed", "gohighlevel: 422", False)


def test_a_playbook_without_a_workflow_is_given_back(workflow: Desk, provider: Provider) -> None:
    workflow.settings["channels"]["crm_workflow"]["workflows"] = {}
    decision = workflow.only(INTERVENTION_CHANNEL_CRM_WORKFLOW)
    assert workflow.deliver(decision) is None
    assert workflow.ended(decision) == ("failed", "gohighlevel: no workflow for playbook re_engage", False)
    assert provider.asked == []


def test_an_agent_gets_a_task(desk: Desk, provider: Provider) -> None:
    settings = {"base_url": provider.url, "token": "env:TOKEN", "assigned_to": "user-1"}
    desk.channel("agent_assignment", kind="gohighlevel_task", **settings)
    provider.usual = Answer(201, {"task": {"id": "task-1"}})
    decision = desk.only(INTERVENTION_CHANNEL_AGENT_ASSIGNMENT)
    assert desk.deliver(decision) is None
    (asked,) = provider.asked
    assert asked.path == "/contacts/contact%2F7/tasks"
    due = decision.interventions[0].expire_time.ToDatetime().isoformat() + "+00:00"
    expected = {"title": "Visit lead", "body": "Soon", "dueDate": due, "completed": False, "assignedTo": "user-1"}
    assert asked.json == expected
