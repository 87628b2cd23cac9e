from datetime import timedelta
from typing import cast

from server.retention import trim_escalations
from server.store.connection import Store
from server.store.keys import Partition
from tests.integration.escalations import ACKNOWLEDGED, RESOLVED, Escalations, refused, with_store


def test_a_watcher_sees_what_is_open_then_every_change_and_resumes_after_its_token(escalations: Escalations) -> None:
    done, name = escalations.raised("done"), escalations.raised("lead")
    escalations.resolve(done)
    stream = escalations.watch()
    first = next(stream)
    assert [each.escalation_id for each in first.escalations] == [name]
    escalations.acknowledge(name)
    second = next(stream)
    assert [(each.escalation_id, each.state) for each in second.escalations] == [(name, ACKNOWLEDGED)]
    escalations.resolve(name)
    third = next(stream)
    assert [each.state for each in third.escalations] == [RESOLVED]
    resumed = escalations.watch(first.resume_token)
    assert [each.state for each in next(resumed).escalations] == [ACKNOWLEDGED, RESOLVED]
    assert refused(lambda: next(escalations.watch(first.resume_token[:-4] + "AAAA")))[0] == "RESUME_TOKEN_INVALID"


def test_a_token_from_before_what_is_retained_is_refused_and_closed_ones_leave_the_index(
    escalations: Escalations, escalation_store: str, tenant: str
) -> None:
    before = next(escalations.watch()).resume_token
    old = escalations.raised("old")
    escalations.resolve(old)
    partition = Partition(tenant, 0)

    async def expire(client: Store) -> None:
        await client.delete(partition.escalation(old))
        await client.xadd(partition.escalation_log, {b"e": b"newer"}, id="9999999999999-0")
        assert await trim_escalations(client, partition, 86_400_000)
        await client.delete(partition.escalation_log)

    with_store(escalation_store, expire)
    escalations.now += timedelta(days=92)
    newer = escalations.raised("newer")
    with_store(escalation_store, lambda client: trim_escalations(client, partition, 86_400_000))
    reason_found, metadata = refused(lambda: next(escalations.watch(before)))
    assert (reason_found, set(metadata)) == ("RESUME_TOKEN_EXPIRED", {"earliest_token", "earliest_at"})
    assert refused(lambda: escalations.get(old))[0] == "ESCALATION_NOT_FOUND"

    async def members(client: Store) -> list[bytes]:
        return cast("list[bytes]", await client.zrange(partition.escalations, 0, -1))

    indexed = [member.split(b" ")[1].decode() for member in with_store(escalation_store, members)]
    assert newer in indexed
    assert old not in indexed
