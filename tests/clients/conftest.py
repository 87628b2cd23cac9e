"""Both clients through one set of tests: the one for asyncio runs on a loop of its own, a call at a time."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from keepwell_client import AsyncClient, Client


class Awaited:
    """Has the methods of an AsyncClient, blocking."""

    def __init__(self, address: str, tenant: str, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = self._loop.run_until_complete(self._opened(address, tenant, options))

    @staticmethod
    async def _opened(address: str, tenant: str, options: dict[str, Any]) -> AsyncClient:
        return AsyncClient(address, tenant, **options)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._client, name)
        if inspect.isasyncgenfunction(member):
            return lambda *given, **named: self._iterate(member(*given, **named))
        if inspect.iscoroutinefunction(member):
            return lambda *given, **named: self._loop.run_until_complete(member(*given, **named))
        return member

    def _iterate(self, items: AsyncIterator[Any]) -> Iterator[Any]:
        try:
            while (item := self._loop.run_until_complete(anext(items, None))) is not None:
                yield item
        finally:
            self._loop.run_until_complete(items.aclose())  # type: ignore[attr-defined]

    def close(self) -> None:
        self._loop.run_until_complete(self._client.close())
        self._loop.close()


Connect = Callable[..., Any]


@pytest.fixture(params=[Client, Awaited], ids=["threads", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of either kind, and closes them."""
    made = []

    def open_client(address: str, tenant: str = "", **options: Any) -> Any:
        made.append(request.param(address, tenant, **options))
        return made[-1]

    yield open_client
    for client in made:
        client.close()


@pytest.fixture
def client(connect: Connect, server: str, tenant: str) -> Any:
    """A client of a tenant that nobody else uses."""
    return connect(server, tenant)
