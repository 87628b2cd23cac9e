from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from typing import cast
from uuid import uuid4

import grpc
import pytest
from grpc_status import rpc_status

from tests.conftest import Running
from tests.integration.escalations import ACKNOWLEDGED, EXPIRED, HOUR, OPEN, RESOLVED, Escalations, refused
from tests.integration.outcomes import NOW, fields


def test_an_escalation_is_taken_and_done_and_every_view_says_so(escalations: Escalations) -> None:
    name = escalations.raised()
    assert escalations.view().escalation.state == OPEN
    taken = escalations.acknowledge(name)
    assert (taken.state, taken.acknowledged_by, taken.HasField("due_time")) == (ACKNOWLEDGED, "Ann", False)
    assert escalations.view().escalation == taken == escalations.get(name)
    done = escalations.resolve(name, resolution="called")
    assert (done.state, done.resolution, done.close_time.ToDatetime(UTC)) == (RESOLVED, "called", NOW)
    assert escalations.get(name) == done
    assert not escalations.view().HasField("escalation")


def test_what_a_decision_raised_is_what_the_service_shows(escalations: Escalations) -> None:
    raised = escalations.decide("lead", 0.9).escalation
    shown = escalations.get(raised.escalation_id)
    assert (shown.reason, shown.recommendations, shown.due_time) == (
        raised.reason,
        raised.recommendations,
        raised.due_time,
    )
    assert (shown.level, shown.target, shown.lead_id, shown.stage) == (1, "manager", "lead", 4)


def test_a_retry_answers_the_stored_response_and_another_body_is_refused(escalations: Escalations) -> None:
    name = escalations.raised()
    taken = escalations.acknowledge(name, request_id="one")
    escalations.resolve(name, request_id="two")
    assert escalations.acknowledge(name, request_id="one") == taken
    assert refused(lambda: escalations.acknowledge(name, "Bob", "one"))[0] == "IDEMPOTENCY_MISMATCH"
    # The two requests' bytes are the same: the method is part of what is compared.
    assert refused(lambda: escalations.resolve(name, "one", "Ann"))[0] == "IDEMPOTENCY_MISMATCH"


def test_200_acknowledgements_by_as_many_people_leave_it_with_one(escalations: Escalations) -> None:
    name = escalations.raised()

    def take(number: int) -> tuple[grpc.StatusCode, str]:
        try:
            return grpc.StatusCode.OK, escalations.acknowledge(name, f"person {number}").acknowledged_by
        except grpc.RpcError as error:
            return error.code(), ""

    with ThreadPoolExecutor(32) as pool:
        answers = Counter(pool.map(take, range(200)))
    taker = escalations.get(name).acknowledged_by
    assert answers == {(grpc.StatusCode.OK, taker): 1, (grpc.StatusCode.FAILED_PRECONDITION, ""): 199}


def test_what_the_state_does_not_allow_is_refused_with_the_state(escalations: Escalations) -> None:
    name = escalations.raised()
    escalations.acknowledge(name)
    taken = {"state": "ACKNOWLEDGED", "acknowledged_by": "Ann"}
    assert refused(lambda: escalations.acknowledge(name, "Bob")) == ("ESCALATION_STATE", taken)
    escalations.resolve(name)
    assert refused(lambda: escalations.reassign(name, "Eve"))[1]["state"] == "RESOLVED"


def test_another_tenants_escalation_is_not_found(escalations: Escalations, replicas: list[Running]) -> None:
    name = escalations.raised()
    with grpc.insecure_channel(replicas[0].address) as channel:
        stranger = Escalations(channel, f"t{uuid4().hex[:12]}")
        for call in (stranger.get, stranger.acknowledge, stranger.resolve, lambda each: stranger.reassign(each, "Eve")):
            assert refused(lambda call=call: call(name)) == ("ESCALATION_NOT_FOUND", {})  # type: ignore[misc]
        assert stranger.leads() == []
    assert escalations.get(name).state == OPEN


def test_a_lead_that_recovers_is_done_with_after_the_hysteresis(escalations: Escalations) -> None:
    name = escalations.raised()
    escalations.acknowledge(name)
    escalations.now += HOUR
    escalations.decide("lead", 0.1)
    assert escalations.get(name).state == ACKNOWLEDGED
    escalations.now += 24 * HOUR
    escalations.decide("lead", 0.1)
    done = escalations.get(name)
    assert (done.state, done.resolution) == (RESOLVED, "recovered: the lead is at none")


def test_a_lead_that_converts_is_done_with(escalations: Escalations) -> None:
    decision = escalations.decide("lead", 0.9)
    name, action = decision.escalation.escalation_id, decision.interventions[0].intervention_id
    escalations.report(escalations.outcome(action, "ENGAGED"))
    assert escalations.get(name).state == OPEN
    escalations.report(escalations.outcome(action, "CONVERTED"))
    assert (escalations.get(name).state, escalations.get(name).resolution) == (
        RESOLVED,
        "recovered: the lead converted",
    )


def test_a_newer_escalation_replaces_the_one_before_it(escalations: Escalations) -> None:
    first = escalations.raised()
    escalations.acknowledge(first)
    escalations.now += 24 * HOUR - timedelta(milliseconds=1)
    assert escalations.raised() == ""
    escalations.now += timedelta(milliseconds=1)
    second = escalations.raised()
    assert (escalations.get(first).state, escalations.get(first).resolution) == (EXPIRED, f"replaced by {second}")
    assert escalations.leads(states=[OPEN, ACKNOWLEDGED]) == ["lead"]
    assert escalations.view().escalation.escalation_id == second


def test_lists_are_filtered_and_paged_newest_first_even_within_one_instant(escalations: Escalations) -> None:
    names = [escalations.raised(f"lead-{number}") for number in range(7)]
    escalations.now += timedelta(seconds=1)
    newest = escalations.raised("lead-7")
    escalations.acknowledge(names[0])
    escalations.reassign(names[1], "Eve")
    escalations.resolve(names[2])
    found: list[str] = []
    token = ""
    while True:
        page = escalations.page(page_size=3, page_token=token)
        found += [each.escalation_id for each in page.escalations]
        token = page.next_page_token
        if not token:
            break
    assert found[0] == newest
    assert sorted(found) == sorted([*names, newest])
    assert escalations.leads(states=[ACKNOWLEDGED]) == ["lead-0"]
    assert escalations.leads(states=[RESOLVED, EXPIRED]) == ["lead-2"]
    assert escalations.leads(target="Eve") == ["lead-1"]
    assert escalations.leads(lead_id="lead-3") == ["lead-3"]
    assert escalations.leads(states=[OPEN], target="manager") == ["lead-3", "lead-4", "lead-5", "lead-6", "lead-7"]


def test_bad_fields_are_named(escalations: Escalations) -> None:
    name = escalations.raised()
    for call, expected in (
        (lambda: escalations.acknowledge(name, " "), ("by", "must be 1 to 128 printable characters")),
        (lambda: escalations.reassign(name, ""), ("target", "must be 1 to 128 printable characters")),
        (
            lambda: escalations.resolve(name, resolution="x" * 513),
            ("resolution", "must be at most 512 printable characters"),
        ),
        (lambda: escalations.get(""), ("escalation_id", "must be 1 to 128 bytes of printable ASCII without spaces")),
        (lambda: escalations.page(page_size=501), ("page_size", "must be 0 to 500")),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call()
        status = rpc_status.from_call(cast("grpc.Call", error.value))
        assert status is not None
        assert fields(status) == [expected]
    assert refused(lambda: escalations.page(page_token="bm90IG9uZQ=="))[0] == "PAGE_TOKEN_INVALID"
