import asyncio
import uuid

import pytest
from msgspec.structs import replace
from redis.exceptions import DataError, NoPermissionError

from server.store.batch import CommitBatch, DecisionWrite, EventWrite, LeadWrite, Written
from server.store.connection import ask, connect
from server.store.effects import remember, remember_new
from server.store.keys import Partition
from server.store.partition import commit

WRITE = LeadWrite("lead", 0, b"record", None, True, 0, 0.05, [], [])
DECISION = DecisionWrite("known", bytes(16), b"d", b"v:", b"i")


async def committed(store_url: str, tenant: str, *leads: LeadWrite, clock: str = "store") -> Written:
    connections = connect(store_url, timeout_seconds=5)
    (written,) = await commit(connections.commit, [CommitBatch(Partition(tenant, 0), clock, "20260301", 86_400, leads)])
    await connections.aclose()
    assert not isinstance(written, Exception)
    return written


def named(write: LeadWrite) -> LeadWrite:
    return replace(write, lead_id=uuid.uuid4().hex)


async def test_a_lead_that_was_written_meanwhile_is_refused(store_url: str, tenant: str) -> None:
    assert await committed(store_url, tenant, WRITE, WRITE) == Written(0, {1: "CONFLICT"})
    assert await committed(store_url, tenant, replace(WRITE, version=1)) == Written(0, {})


async def test_a_decision_whose_hours_have_ended_is_refused(store_url: str, tenant: str) -> None:
    past, future = replace(named(WRITE), valid_until=1), replace(named(WRITE), valid_until=2**52)
    assert await committed(store_url, tenant, past, future) == Written(0, {0: "LATE"})


async def test_a_request_that_was_decided_for_another_lead_is_refused(store_url: str, tenant: str) -> None:
    first, second = (replace(named(WRITE), decisions=[DECISION]) for _ in range(2))
    assert await committed(store_url, tenant, first, second) == Written(1, {1: "DUPLICATE"})


async def test_what_two_leads_of_a_batch_would_both_set_for_the_first_time_is_set_by_the_first(
    store_url: str, tenant: str
) -> None:
    outcome = remember_new(Partition(tenant, 0).outcome("sale"), b"fingerprint", 60)
    first, second = (replace(named(WRITE), effects=[outcome]) for _ in range(2))
    assert await committed(store_url, tenant, first, second) == Written(0, {1: "DUPLICATE"})


async def test_a_refused_lead_leaves_the_keys_of_the_one_behind_it_alone(store_url: str, tenant: str) -> None:
    partition = Partition(tenant, 0)

    def whole(name: str, version: int) -> LeadWrite:
        decision, event = replace(DECISION, decision_id=name), EventWrite(partition.event(name, "e"), b"payload")
        effect = remember(partition.intervention(name), name.encode())
        return replace(WRITE, lead_id=name, version=version, decisions=[decision], events=[event], effects=[effect])

    written = await committed(store_url, tenant, whole("refused", 7), whole("written", 0))
    connections = connect(store_url, timeout_seconds=5)
    keys = [
        [partition.lead(name), partition.decision(name), partition.event(name, "e"), partition.intervention(name)]
        for name in ("refused", "written")
    ]
    there = [[await connections.commit.exists(key) for key in of_lead] for of_lead in keys]
    locator = await connections.commit.get(partition.decision("written"))
    ((log_id, _),) = await connections.commit.xrange(partition.log)
    await connections.aclose()
    assert written == Written(1, {0: "CONFLICT"})
    assert there == [[0, 0, 0, 0], [1, 1, 1, 1]]
    assert locator == bytes(16) + log_id + b" written"


async def test_a_store_that_forbids_some_of_the_keys_gets_none_of_them(store_url: str, tenant: str) -> None:
    partition = Partition(tenant, 0)
    kinds = ("lead:*", "log", "clock", "day:*", "events", "due", "expiring")
    connections, forbidden = connect(store_url, timeout_seconds=5), connect(store_url, timeout_seconds=5)
    allowed = [f"~{partition.tag}:{kind}" for kind in kinds]
    setting = ("reset", "on", "nopass", "+@all", *allowed, f"%R~{partition.decision('*')}")
    await connections.commit.execute_command("ACL", "SETUSER", "reader", *setting)
    await forbidden.commit.execute_command("AUTH", "reader", "")
    lead = replace(WRITE, decisions=[DECISION])
    (answer,) = await commit(forbidden.commit, [CommitBatch(partition, "store", "20260301", 86_400, [lead])])
    written = await connections.commit.keys(f"{partition.tag}:*")
    await connections.commit.execute_command("ACL", "DELUSER", "reader")
    await connections.aclose()
    await forbidden.aclose()
    assert isinstance(answer, NoPermissionError)
    assert written == []


async def test_more_leads_than_one_command_takes_are_all_written(store_url: str, tenant: str) -> None:
    """A command of the script takes 4,000 values: a lead's record is two of them, its review two, its request one."""
    count, partition = 4_001, Partition(tenant, 0)
    leads = [
        replace(
            WRITE, lead_id=f"lead-{each}", decisions=[replace(DECISION, decision_id=f"d{each}")], next_review_at=each
        )
        for each in range(count)
    ]
    written = await committed(store_url, tenant, *leads)
    connections = connect(store_url, timeout_seconds=5)
    client = connections.commit
    log = [log_id.decode() for log_id, _ in await client.xrange(partition.log)]
    records = await client.mget([partition.lead(lead.lead_id) for lead in leads])
    due = await client.zrange(partition.due, 0, -1)
    await connections.aclose()
    assert written == Written(count, {})
    assert len(log) == count
    assert records == [f"1 {log_id}\nrecord".encode() for log_id in log]
    assert due == [lead.lead_id.encode() for lead in leads]
    assert await committed(store_url, tenant, *leads[:1], *leads[-1:]) == Written(
        0, dict.fromkeys(range(2), "CONFLICT")
    )
    again = [replace(lead, version=1) for lead in (leads[0], leads[-1])]
    assert await committed(store_url, tenant, *again) == Written(0, dict.fromkeys(range(2), "DUPLICATE"))


async def test_decisions_of_one_instant_are_numbered_on_from_commit_to_commit(store_url: str, tenant: str) -> None:
    connections, partition = connect(store_url, timeout_seconds=5), Partition(tenant, 0)
    await connections.commit.set(partition.clock, "1700000000000")
    leads = [
        replace(WRITE, lead_id=f"lead-{n}", decisions=[replace(DECISION, decision_id=f"d{n}")]) for n in range(125)
    ]
    for batch in (leads[:3], leads[3:4], leads[4:12], leads[12:123], leads[123:]):
        assert await committed(store_url, tenant, *batch, clock="manual") == Written(len(batch), {})
    log = [log_id.decode() for log_id, _ in await connections.commit.xrange(partition.log)]
    records = await connections.commit.mget([partition.lead(lead.lead_id) for lead in leads])
    await connections.aclose()
    assert log == [f"1700000000000-{n}" for n in range(125)]
    assert records == [f"1 {log_id}\nrecord".encode() for log_id in log]


async def test_the_share_of_escalations_is_counted_where_it_is_written(store_url: str, tenant: str) -> None:
    leads = [replace(named(WRITE), escalations=1) for _ in range(2)]
    assert await committed(store_url, tenant, *leads) == Written(0, {1: "CEILING"})


async def test_a_command_that_cannot_be_written_is_refused_and_the_next_one_goes_on(store_url: str) -> None:
    connections = connect(store_url, timeout_seconds=5)
    with pytest.raises(DataError, match=r"^a command takes texts, bytes and numbers: "):
        await connections.commit.execute_command("SET", "key", None)
    assert await connections.commit.execute_command("CONFIG GET", "maxmemory-policy") == {
        "maxmemory-policy": "noeviction"
    }
    await connections.aclose()


async def test_a_call_that_is_cut_off_leaves_no_reply_for_the_next_one(store_url: str, tenant: str) -> None:
    connections, others = connect(store_url, timeout_seconds=5), connect(store_url, timeout_seconds=5)
    cut_off = asyncio.create_task(ask(connections.commit, [("BLPOP", tenant, 0)]))
    while "blpop" not in [each["cmd"] for each in await others.commit.client_list()]:
        pass  # until the store has it
    cut_off.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cut_off
    await others.commit.rpush(tenant, "of the first")
    pong, refusal = await ask(connections.commit, [("PING",), ("GET", tenant)])
    assert pong == b"PONG"
    assert str(refusal).startswith("WRONGTYPE")
    await connections.aclose()
    await others.aclose()
