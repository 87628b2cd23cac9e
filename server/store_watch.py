"""The store, looked at again and again: what was safe at the start may be set up otherwise since, or be another server by now."""

import structlog

from server.errors import StateUnavailableError
from server.store.connection import Store, StoreUnsafeError, check_store
from server.turns import take_turns

CHECK_SECONDS = 2.0
log = structlog.get_logger()


class StoreWatch:
    """Knows whether the store could lose what it confirms."""

    def __init__(self, client: Store, replicas: int) -> None:
        self._client = client
        self._replicas = replicas
        self._problem = ""

    def check(self) -> None:
        """Raise StateUnavailableError while the store is not safe."""
        if self._problem:
            raise StateUnavailableError(f"{self._problem}; nothing was decided")

    async def watch_for_ever(self) -> None:
        """Look at it until cancelled."""
        await take_turns("store_watch", self._look, CHECK_SECONDS)

    async def _look(self) -> bool:
        """Look once; there is never more to do."""
        problem = ""
        try:
            await check_store(self._client, self._replicas)
        except StoreUnsafeError as error:
            problem = str(error)
        if problem != self._problem:
            log.error("store_unsafe", error=problem) if problem else log.info("store_safe")
        self._problem = problem
        return False
