"""Retention: what is older than the log keeps is removed, and the last id that went is remembered.

A resume token from before that id is refused: reading on from it would skip decisions without a word.
"""

import asyncio

import structlog
from redis.exceptions import RedisError

from server.feed.token import order
from server.settings import Settings
from server.store.connection import Store
from server.store.keys import PARTITIONS, TENANTS_KEY, Partition

INTERVAL_SECONDS = 60.0
log = structlog.get_logger()


async def trim(client: Store, partition: Partition, retention_ms: int) -> str | None:
    """Remove what is older than the retention, counted back from the newest entry; return the last log id that went."""
    newest = await client.xrevrange(partition.log, count=1)
    if not newest:
        return None
    cutoff = order(newest[0][0].decode())[0] - retention_ms
    if cutoff <= 0:
        return None
    going = await client.xrevrange(partition.log, max=f"({cutoff}-0", count=1)
    if not going:
        return None
    last: str = going[0][0].decode()
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.set(partition.trimmed, last)
        pipeline.xtrim(partition.log, minid=f"{cutoff}-0", approximate=False)
        await pipeline.execute()
    return last


async def trim_events(client: Store, partition: Partition, retention_ms: int) -> int:
    """Remove the events that arrived longer than the retention before the newest one; return how many went.

    Their ids carry the store's own time, whatever clock the tenant has. What was learned from them stays in the leads' records.
    """
    newest = await client.xrevrange(partition.events, count=1)
    if not newest:
        return 0
    cutoff = max(order(newest[0][0].decode())[0] - retention_ms, 0)
    gone: int = await client.xtrim(partition.events, minid=f"{cutoff}-0", approximate=False)
    return gone


async def trim_for_ever(client: Store, settings: Settings) -> None:
    """Trim every tenant's logs once a minute."""
    retention_ms = settings.log_retention_hours * 3_600_000
    events_ms = settings.event_retention_days * 86_400_000
    while True:
        await asyncio.sleep(INTERVAL_SECONDS)
        try:
            for tenant in await client.smembers(TENANTS_KEY):
                for number in range(PARTITIONS):
                    partition = Partition(tenant.decode(), number)
                    await trim(client, partition, retention_ms)
                    await trim_events(client, partition, events_ms)
        except (RedisError, OSError) as error:
            log.warning("retention_waits_for_store", error=str(error))
