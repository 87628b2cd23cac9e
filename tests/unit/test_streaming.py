from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from server.errors import MalformedRequestError, StateUnavailableError
from server.services.streaming import answer_each


class Headers:
    """What a call can do, as far as it comes here: no answer is ever written."""

    async def send_initial_metadata(self, metadata: tuple[()]) -> None:
        assert metadata == ()


CALL = cast("Any", Headers())


async def two_requests() -> AsyncIterator[str]:
    yield "first"
    yield "second"


async def damaged() -> AsyncIterator[str]:
    yield "first"
    raise MalformedRequestError


async def test_what_answering_raises_is_raised_as_it_is() -> None:
    async def answer(request: str) -> list[bytes]:
        raise StateUnavailableError(request)

    with pytest.raises(StateUnavailableError, match="first"):
        await answer_each(two_requests(), CALL, 2, answer)


async def test_what_reading_raises_is_raised_as_it_is() -> None:
    async def answer(request: str) -> list[bytes]:
        raise StateUnavailableError(request)

    with pytest.raises(MalformedRequestError):
        await answer_each(damaged(), CALL, 2, answer)
