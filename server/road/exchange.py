"""The road's two round trips to the store: each bounded in time, and what it means to a caller when one fails."""

import asyncio
from collections.abc import Sequence

import structlog
from redis.exceptions import ConnectionError as StoreConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as StoreTimeoutError

from server.errors import CommitUnknownError, StateUnavailableError
from server.road.clock import ClockGuard
from server.road.gathering import Part
from server.road.settings import RoadSettings
from server.store.batch import CommitBatch, Snapshot, Written
from server.store.connection import Store
from server.store.partition import commit, gather
from server.store.replicas import Confirmed, UnconfirmedError, confirm_all
from server.store_watch import StoreWatch

log = structlog.get_logger()


class Exchange:
    """Asks the store, unless it or its clock cannot be trusted."""

    def __init__(self, client: Store, settings: RoadSettings, guard: ClockGuard, watch: StoreWatch) -> None:
        self._client = client
        self._timeout_seconds = settings.timeout_seconds
        # In half the time, so that it is the replicas that are said to be late, and not the store.
        within_ms = int(settings.timeout_seconds * 500)
        self._confirmed = Confirmed(settings.replicas, within_ms) if settings.replicas else None
        self._guard = guard
        self._watch = watch

    async def gather(self, parts: Sequence[Part]) -> list[Snapshot | StateUnavailableError]:
        """Return what each part is decided from, or why the store does not say.

        Raises:
            StateUnavailableError: The store does not answer, or is not safe.
            ClockSkewError: Its clock jumped.

        """
        self._watch.check()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                replies = await gather(self._client, [part.query for part in parts])
        except (RedisError, OSError, TimeoutError) as error:
            raise StateUnavailableError("the store cannot be reached; nothing was decided") from error
        found: list[Snapshot | StateUnavailableError] = []
        for part, reply in zip(parts, replies, strict=True):
            if isinstance(reply, ResponseError):
                log.error("gather_refused", tenant=part.partition.tenant, error=str(reply))
                found.append(StateUnavailableError(f"the store cannot be read: {reply}"))
            else:
                self._guard.check(part.partition.tenant, part.clock, reply.now)
                found.append(reply)
        return found

    async def confirm(self) -> None:
        """Return once enough replicas have what was written before: it is about to be told as done; raises CommitUnknownError."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await confirm_all(self._client, self._confirmed)
        except (UnconfirmedError, RedisError, OSError, TimeoutError) as error:
            raise CommitUnknownError(
                f"what was done may be lost yet: {error}; retry with the same request_id"
            ) from error

    async def commit(self, batches: Sequence[CommitBatch]) -> list[Written | Exception]:
        """Return what each batch came to, or why it was refused as a whole.

        Raises:
            CommitUnknownError: Everything may have been written, or nothing.
            StateUnavailableError: Nothing was written.

        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                replies = await commit(self._client, batches, self._confirmed)
        except UnconfirmedError as error:
            raise CommitUnknownError(f"{error}; retry with the same request_id") from error
        except (StoreConnectionError, StoreTimeoutError, OSError, TimeoutError) as error:
            raise CommitUnknownError("the store did not confirm; retry with the same request_id") from error
        except RedisError as error:
            raise StateUnavailableError(f"the store refused the commit: {error}") from error
        return [
            self._refused(batch, reply) if isinstance(reply, ResponseError) else reply
            for batch, reply in zip(batches, replies, strict=True)
        ]

    @staticmethod
    def _refused(batch: CommitBatch, error: ResponseError) -> Exception:
        """Return what a batch's error means: a script that failed for a reason of its own may have written before."""
        log.error("commit_refused", tenant=batch.partition.tenant, error=str(error))
        if isinstance(error, ReadOnlyError | OutOfMemoryError):  # both are said at the first write
            return StateUnavailableError(f"the store refused the commit: {error}")
        return CommitUnknownError(
            f"the store failed in the midst of the commit; retry with the same request_id: {error}"
        )
