"""The keys of decisions go together, when they were kept long enough, and not before."""

import asyncio
from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from server.retention import forget_decisions
from server.store.connection import Store, connect
from server.store.keys import CONTACT_SECONDS, Partition
from server.store.partition import CommitBatch, DecisionWrite, LeadWrite, commit

PLAIN = DecisionWrite("plain", bytes(16), b"d", b"v:", b"i")
CONTACT = replace(PLAIN, decision_id="contact", contacts=True)
LEAD = LeadWrite("lead", 0, b"record", None, True, 0, 0.05, [], [PLAIN, CONTACT])


def with_store(store_url: str, use: Callable[[Store], Awaitable[None]]) -> None:
    async def run() -> None:
        connections = connect(store_url, timeout_seconds=5)
        try:
            await use(connections.commit)
        finally:
            await connections.aclose()

    asyncio.run(run())


async def kept(client: Store, partition: Partition, *names: str) -> list[bool]:
    return [bool(await client.exists(partition.decision(name))) for name in names]


def test_a_decision_is_forgotten_when_its_time_is_over_and_one_with_a_contact_when_that_counts_no_more(
    store_url: str, tenant: str
) -> None:
    partition = Partition(tenant, 0)

    async def use(client: Store) -> None:
        before, _ = await client.time()
        await commit(client, [CommitBatch(partition, "store", "20260301", 0, [LEAD])])
        after, _ = await client.time()
        assert await kept(client, partition, "plain", "contact") == [True, True]
        await forget_decisions(client, partition)
        assert await kept(client, partition, "plain", "contact") == [False, True]
        ((ids, ends_at),) = await client.zrange(partition.expiring, 0, -1, withscores=True)
        assert ids == b"contact"
        assert before <= ends_at / 1_000 - CONTACT_SECONDS < after + 1

    with_store(store_url, use)


def test_a_decision_whose_time_is_not_over_is_kept(store_url: str, tenant: str) -> None:
    partition = Partition(tenant, 0)

    async def use(client: Store) -> None:
        await commit(client, [CommitBatch(partition, "store", "20260301", 60, [LEAD])])
        await forget_decisions(client, partition)
        assert await kept(client, partition, "plain", "contact") == [True, True]

    with_store(store_url, use)


def test_a_refused_decision_is_not_forgotten_with_those_of_its_batch(store_url: str, tenant: str) -> None:
    """Its request may have been decided before, for longer than the batch's are kept."""
    partition = Partition(tenant, 0)
    other = replace(LEAD, lead_id="other", decisions=[replace(PLAIN, decision_id="new")])

    async def use(client: Store) -> None:
        await commit(client, [CommitBatch(partition, "store", "20260301", 60, [LEAD])])
        again = replace(LEAD, version=1)
        (answers,) = await commit(client, [CommitBatch(partition, "store", "20260301", 0, [again, other])])
        assert not isinstance(answers, Exception)
        assert answers[0] == "DUPLICATE"
        await forget_decisions(client, partition)
        assert await kept(client, partition, "plain", "contact", "new") == [True, True, False]

    with_store(store_url, use)


def test_more_texts_than_one_turn_takes_are_all_forgotten(store_url: str, tenant: str) -> None:
    partition = Partition(tenant, 0)
    names = [f"d{each}" for each in range(20)]

    async def use(client: Store) -> None:
        for name in names:
            lead = replace(LEAD, lead_id=name, decisions=[replace(PLAIN, decision_id=name)])
            await commit(client, [CommitBatch(partition, "store", "20260301", 0, [lead])])
        assert await client.zcard(partition.expiring) == len(names)
        await forget_decisions(client, partition)
        assert not any(await kept(client, partition, *names))
        assert await client.exists(partition.expiring) == 0

    with_store(store_url, use)
