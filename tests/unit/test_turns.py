import asyncio

import pytest

from server.errors import OverloadedError
from server.turns import take_turns


async def test_turns_follow_each_other_at_once_while_there_may_be_more() -> None:
    left = [True, True, False]

    async def turn() -> bool:
        if not left:
            raise asyncio.CancelledError
        return left.pop(0)

    with pytest.raises(asyncio.CancelledError):
        await take_turns("test", turn, idle_seconds=0)
    assert left == []


async def test_trouble_and_faults_end_no_turns() -> None:
    faults: list[Exception] = [OverloadedError("busy"), ValueError("ours")]

    async def turn() -> bool:
        if faults:
            raise faults.pop(0)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await take_turns("test", turn, idle_seconds=0, trouble_seconds=0)
    assert faults == []


async def test_turns_end_even_when_their_cancellation_gets_lost_on_the_way() -> None:
    waiting = asyncio.Event()

    async def turn() -> bool:
        waiting.set()
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            return True  # what the store's client did once when its connection broke just then
        return False

    task = asyncio.create_task(take_turns("test", turn, idle_seconds=0))
    await waiting.wait()
    task.cancel()
    async with asyncio.timeout(5):
        await task
