"""The keys of decisions go together, when they were kept long enough, and not before."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from server.retention import forget_decisions
from server.store.batch import CommitBatch, DecisionWrite, LeadWrite, Written
from server.store.connection import Store, connect
from server.store.keys import CONTACT_SECONDS, Partition
from server.store.partition import commit

PLAIN = DecisionWrite("plain", bytes(16), b"d", b"v:", b"i")
CONTACT = replace(PLAIN, decision_id="contact", contacts=True)
LEAD = LeadWrite("lead", 0, b"record", None, True, 0, 0.05, [], [PLAIN, CONTACT])


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Store]:
    connections = connect(store_url, timeout_seconds=5)
    yield connections.commit
    await connections.aclose()


async def kept(client: Store, partition: Partition, *names: str) -> list[bool]:
    return [bool(await client.exists(partition.decision(name))) for name in names]


async def test_a_decision_is_forgotten_when_its_time_is_over_and_one_with_a_contact_when_that_counts_no_more(
    client: Store, tenant: str
) -> None:
    partition = Partition(tenant, 0)

    before, _ = await client.time()
    await commit(client, [CommitBatch(partition, "store", "20260301", 0, [LEAD])])
    after, _ = await client.time()
    assert await kept(client, partition, "plain", "contact") == [True, True]
    await forget_decisions(client, partition)
    assert await kept(client, partition, "plain", "contact") == [False, True]
    ((ids, ends_at),) = await client.zrange(partition.expiring, 0, -1, withscores=True)
    assert ids == b"contact"
    assert before <= ends_at / 1_000 - CONTACT_SECONDS < after + 1


async def test_a_decision_whose_time_is_not_over_is_kept(client: Store, tenant: str) -> None:
    partition = Partition(tenant, 0)
    await commit(client, [CommitBatch(partition, "store", "20260301", 60, [LEAD])])
    await forget_decisions(client, partition)
    assert await kept(client, partition, "plain", "contact") == [True, True]


async def test_a_refused_decision_is_not_forgotten_with_those_of_its_batch(client: Store, tenant: str) -> None:
    """Its request may have been decided before, for longer than the batch's are kept."""
    partition = Partition(tenant, 0)
    other = replace(LEAD, lead_id="other", decisions=[replace(PLAIN, decision_id="new")])
    await commit(client, [CommitBatch(partition, "store", "20260301", 60, [LEAD])])
    again = replace(LEAD, version=1)
    (written,) = await commit(client, [CommitBatch(partition, "store", "20260301", 0, [again, other])])
    assert written == Written(1, {0: "DUPLICATE"})
    await forget_decisions(client, partition)
    assert await kept(client, partition, "plain", "contact", "new") == [True, True, False]


async def test_more_texts_than_one_turn_takes_are_all_forgotten(client: Store, tenant: str) -> None:
    partition = Partition(tenant, 0)
    names = [f"d{each}" for each in range(20)]
    for name in names:
        lead = replace(LEAD, lead_id=name, decisions=[replace(PLAIN, decision_id=name)])
        await commit(client, [CommitBatch(partition, "store", "20260301", 0, [lead])])
    assert await client.zcard(partition.expiring) == len(names)
    await forget_decisions(client, partition)
    assert not any(await kept(client, partition, *names))
    assert await client.exists(partition.expiring) == 0
