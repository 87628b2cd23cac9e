import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import cast

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_status import rpc_status
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import outcome_service_pb2 as messages

from server.retention import trim
from server.store.connection import connect
from server.store.keys import Partition
from server.store.outcome_record import OutcomeEntry, decode_outcome
from tests.integration.outcomes import NOW, Caller, fields, reason

PENDING_TO_COMPLAINED = (
    "must be one of INTERVENTION_OUTCOME_PENDING, INTERVENTION_OUTCOME_DELIVERED, INTERVENTION_OUTCOME_ENGAGED, "
    "INTERVENTION_OUTCOME_CONVERTED, INTERVENTION_OUTCOME_FAILED, INTERVENTION_OUTCOME_IGNORED, "
    "INTERVENTION_OUTCOME_ESCALATED, INTERVENTION_OUTCOME_OPTED_OUT, INTERVENTION_OUTCOME_COMPLAINED"
)


@pytest.fixture
def caller(channel: grpc.Channel, tenant: str) -> Caller:
    return Caller(channel, tenant)


def logged(store_url: str, tenant: str) -> list[OutcomeEntry]:
    """Return the tenant's outcome log."""

    async def read() -> list[OutcomeEntry]:
        store = connect(store_url, timeout_seconds=2)
        try:
            return [
                decode_outcome(entry[b"o"]) for _, entry in await store.commit.xrange(Partition(tenant, 0).outcomes)
            ]
        finally:
            await store.aclose()

    return asyncio.run(read())


def test_a_contact_that_was_not_sent_is_given_back_and_granted_exactly_once_more(caller: Caller) -> None:
    first = caller.granted()
    assert caller.used("email_daily") == 1
    caller.fail_unsent(first)
    assert caller.used("email_daily") == 0
    again = caller.decide().interventions[0]
    assert (again.channel, again.playbook) == (pb.INTERVENTION_CHANNEL_EMAIL, "personalised_content")
    assert pb.INTERVENTION_CHANNEL_EMAIL not in [action.channel for action in caller.decide().interventions]
    assert caller.used("email_daily") == 1


@pytest.mark.parametrize("said", ["FAILED", "PENDING", "ESCALATED", "DELIVERED", "IGNORED"])
def test_no_other_outcome_gives_a_contact_back(caller: Caller, said: str) -> None:
    (status,) = caller.report(caller.outcome(caller.granted(), said))
    assert status.code == 0
    assert caller.used("email_daily") == 1


def test_a_contact_that_was_delivered_is_not_given_back_in_whatever_order_the_reports_come(caller: Caller) -> None:
    first, second = caller.granted("first"), caller.granted("second")
    caller.report(caller.outcome(first, "DELIVERED"))
    caller.fail_unsent(first)
    caller.fail_unsent(second)
    caller.report(caller.outcome(second, "DELIVERED"))
    caller.fail_unsent(second)
    assert (caller.used("email_daily", "first"), caller.used("email_daily", "second")) == (1, 1)


def test_200_reports_of_the_same_outcome_at_once_give_back_one_contact(
    caller: Caller, store_url: str, tenant: str
) -> None:
    intervention = caller.granted()
    one = caller.outcome(intervention, "FAILED", was_sent=False)
    with ThreadPoolExecutor(32) as pool:
        codes = list(pool.map(lambda _: caller.report(one)[0].code, range(200)))
    assert codes == [0] * 200
    assert [entry.given_back for entry in logged(store_url, tenant)] == [True]
    assert caller.used("email_daily") == 0


def test_200_different_reports_of_one_failure_at_once_give_back_one_contact(
    caller: Caller, store_url: str, tenant: str
) -> None:
    intervention = caller.granted()
    reports = [caller.outcome(intervention, "FAILED", was_sent=False) for _ in range(200)]
    with ThreadPoolExecutor(32) as pool:
        codes = list(pool.map(lambda one: caller.report(one)[0].code, reports))
    assert codes == [0] * 200
    assert Counter(entry.given_back for entry in logged(store_url, tenant)) == {True: 1, False: 199}


def test_the_same_id_with_another_body_is_refused_in_the_same_call_and_in_later_ones(caller: Caller) -> None:
    intervention, other = caller.granted("a"), caller.granted("b")
    first = caller.outcome(intervention, "DELIVERED", "one")
    changed = caller.outcome(intervention, "FAILED", "one", was_sent=False)
    elsewhere = caller.outcome(other, "DELIVERED", "one")
    together = caller.report(first, changed, first, elsewhere)
    assert [reason(status) for status in together] == ["", "IDEMPOTENCY_MISMATCH", "", "IDEMPOTENCY_MISMATCH"]
    assert [reason(status) for status in caller.report(changed, elsewhere, first)] == ["IDEMPOTENCY_MISMATCH"] * 2 + [
        ""
    ]
    assert together[1].code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    assert caller.used("email_daily", "a") == 1


def test_an_intervention_that_is_not_the_tenants_is_not_found_and_harms_no_other(
    caller: Caller, channel: grpc.Channel, tenant: str
) -> None:
    intervention = caller.granted()
    decision_id = intervention.removesuffix(".1")
    stranger = Caller(channel, f"{tenant}x")
    stranger.granted()
    (foreign,) = stranger.report(stranger.outcome(intervention, "FAILED", was_sent=False))
    assert (foreign.code, reason(foreign)) == (grpc.StatusCode.NOT_FOUND.value[0], "INTERVENTION_NOT_FOUND")
    unknown = ["nothing.1", "nothing", f"{decision_id}.2", f"{decision_id}.e", decision_id, f"{decision_id}.01"]
    statuses = caller.report(*(caller.outcome(name, "DELIVERED") for name in [*unknown, intervention]))
    assert [reason(status) for status in statuses] == ["INTERVENTION_NOT_FOUND"] * 6 + [""]
    assert caller.used("email_daily") == 1


def test_bad_fields_are_named_with_what_is_allowed_and_the_others_count(caller: Caller) -> None:
    intervention = caller.granted()
    later = Timestamp()
    later.FromDatetime(NOW + timedelta(seconds=61))
    bad = [
        messages.Outcome(outcome_id="with blank", intervention_id="", outcome=99),  # type: ignore[arg-type]
        caller.outcome(intervention, "CONVERTED", was_sent=False),
        caller.outcome(intervention, "CONVERTED", revenue=float("nan"), detail="x" * 513),
        caller.outcome(intervention, "DELIVERED", occur_time=later),
    ]
    statuses = caller.report(*bad, caller.outcome(intervention, "FAILED", was_sent=False))
    assert [status.code for status in statuses] == [3, 3, 3, 3, 0]
    assert fields(statuses[0]) == [
        ("outcomes[0].outcome_id", "must be 1 to 128 bytes of printable ASCII without spaces"),
        ("outcomes[0].intervention_id", "must be 1 to 128 bytes of printable ASCII without spaces"),
        ("outcomes[0].outcome", PENDING_TO_COMPLAINED),
    ]
    assert fields(statuses[1]) == [("outcomes[1].was_sent", "must be true or absent: CONVERTED says that it was sent")]
    assert fields(statuses[2]) == [
        ("outcomes[2].detail", "must be at most 512 printable characters"),
        ("outcomes[2].revenue", "must be a finite number in [0, 1e+12]"),
    ]
    assert fields(statuses[3]) == [("outcomes[3].occur_time", "must not be in the future")]
    assert caller.used("email_daily") == 0


@pytest.mark.parametrize("count", [0, 1_001])
def test_a_call_takes_1_to_1000_outcomes(caller: Caller, count: int) -> None:
    with pytest.raises(grpc.RpcError) as error:
        caller.report(*[caller.outcome("x.1", "DELIVERED")] * count)
    status = rpc_status.from_call(cast("grpc.Call", error.value))
    assert status is not None
    assert fields(status) == [("outcomes", "must be 1 to 1000")]


def test_a_tenants_own_limit_gets_its_unit_back_once(caller: Caller) -> None:
    caller.now = NOW.replace(hour=15)
    caller.consent("lead")
    called = next(a for a in caller.decide("lead", 0.7).interventions if a.channel == pb.INTERVENTION_CHANNEL_PHONE)
    assert caller.used("agent_calls") == 1
    caller.fail_unsent(called.intervention_id)
    caller.fail_unsent(called.intervention_id)
    assert caller.used("agent_calls") == 0
    caller.report(caller.outcome(called.intervention_id, "DELIVERED"))
    assert caller.used("agent_calls") == 1


def test_an_opt_out_ends_its_channel_and_a_complaint_ends_all(caller: Caller) -> None:
    caller.report(caller.outcome(caller.granted(), "OPTED_OUT"))
    assert [consent.channel for consent in caller.view().consent] == [pb.INTERVENTION_CHANNEL_EMAIL]
    other = caller.decide().interventions[0]
    assert other.channel == pb.INTERVENTION_CHANNEL_IN_APP
    caller.report(caller.outcome(other.intervention_id, "COMPLAINED"))
    caller.now += timedelta(days=30)
    decision = caller.decide()
    assert not decision.interventions
    assert {suppression.reason for suppression in decision.suppressions} == {pb.REASON_CODE_OPTED_OUT}


def test_an_outcome_is_kept_with_what_it_takes_to_measure_by_it(caller: Caller, store_url: str, tenant: str) -> None:
    intervention = caller.granted()
    caller.now += timedelta(days=3)
    occurred = Timestamp()
    occurred.FromDatetime(NOW + timedelta(days=1))
    said = caller.outcome(intervention, "CONVERTED", revenue=12_500.5, detail="signed", occur_time=occurred)
    caller.report(said)
    (entry,) = logged(store_url, tenant)
    assert messages.Outcome.FromString(entry.report) == said
    assert entry.grant is not None
    assert (entry.lead_id, entry.channel, entry.grant.playbook, entry.grant.stage) == (
        "lead",
        1,
        "personalised_content",
        2,
    )
    assert (entry.grant.cost, entry.grant.granted_at) == (0.01, int(NOW.timestamp() * 1_000))
    assert entry.reported_at - entry.grant.granted_at == 3 * 86_400_000


def test_outcomes_come_in_long_after_the_decision_log_let_go_of_the_decision(
    caller: Caller, store_url: str, tenant: str
) -> None:
    unsent, sent = caller.granted("unsent"), caller.granted("sent")
    caller.now += timedelta(days=2)
    caller.decide("somebody")

    async def forget() -> None:
        store = connect(store_url, timeout_seconds=2)
        try:
            assert await trim(store.commit, Partition(tenant, 0), 86_400_000, 1_000)
        finally:
            await store.aclose()

    asyncio.run(forget())
    caller.fail_unsent(unsent)
    statuses = caller.report(caller.outcome(sent, "OPTED_OUT"), caller.outcome(sent.replace(".1", ".2"), "DELIVERED"))
    assert [reason(status) for status in statuses] == ["", "INTERVENTION_NOT_FOUND"]
    assert (caller.used("email_weekly", "unsent"), caller.used("email_weekly", "sent")) == (0, 1)
    assert caller.view("sent").consent[0].channel == pb.INTERVENTION_CHANNEL_EMAIL
    caller.report(caller.outcome(unsent, "DELIVERED"))
    assert caller.used("email_weekly", "unsent") == 1
