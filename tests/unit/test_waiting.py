import asyncio

import pytest

from server.errors import OverloadedError
from server.road.settings import RoadSettings
from server.road.ticket import Job, Ticket
from server.road.waiting import WaitingRoom

AN_HOUR_MS = 3_600_000.0


def room(*, batch_leads: int = 256, batch_wait_ms: float = AN_HOUR_MS, pending_decisions: int = 4_096) -> WaitingRoom:
    return WaitingRoom(RoadSettings(batch_leads, batch_wait_ms, pending_decisions, 1.0, 0, 60, 1, "UTC", 0))


def jobs(*lead_ids: str) -> list[Job]:
    ticket = Ticket(len(lead_ids), asyncio.get_running_loop())
    return [Job("t", "store", lead_id, ticket, place) for place, lead_id in enumerate(lead_ids)]


async def batch(waiting: WaitingRoom) -> list[str]:
    async with asyncio.timeout(10):
        return [job.lead_id for job in await waiting.next_batch()]


async def turns_of_the_loop() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_batch_waits_for_the_callers_of_the_one_before_it_and_goes_once_the_last_of_them_is_there() -> None:
    waiting = room()
    waiting.enter(jobs("a", "b"))
    assert await batch(waiting) == ["a", "b"]
    waiting.enter(jobs("c"))
    waiting.leave([])  # a and b have their answers, c waits already: three are expected
    going = asyncio.create_task(batch(waiting))
    waiting.enter(jobs("a2"))
    await turns_of_the_loop()
    assert not going.done()
    waiting.enter(jobs("b2"))
    await turns_of_the_loop()
    assert going.done()
    assert going.result() == ["c", "a2", "b2"]


async def test_a_batch_goes_without_those_who_do_not_come_back() -> None:
    waiting = room()
    waiting.enter(jobs("a", "b"))
    await batch(waiting)
    waiting.leave([])
    waiting.enter(jobs("a2"))
    assert await batch(waiting) == ["a2"]


@pytest.mark.parametrize(("before", "wait_ms"), [(("a",), AN_HOUR_MS), (("a", "b"), 0.0)])
async def test_nobody_waits_after_a_single_caller_or_when_the_setting_forbids_it(
    before: tuple[str, ...], wait_ms: float
) -> None:
    waiting = room(batch_wait_ms=wait_ms)
    waiting.enter(jobs(*before))
    await batch(waiting)
    waiting.leave([])
    waiting.enter(jobs("z"))
    going = asyncio.create_task(batch(waiting))
    await turns_of_the_loop()
    assert going.done()
    assert going.result() == ["z"]


async def test_an_empty_room_leaves_the_loop_to_others_until_somebody_comes() -> None:
    waiting = room()
    waiting.enter(jobs("a"))
    await batch(waiting)
    waiting.leave([])
    going = asyncio.create_task(batch(waiting))
    await turns_of_the_loop()
    assert not going.done()
    waiting.enter(jobs("b"))
    await turns_of_the_loop()
    assert going.done()
    assert going.result() == ["b"]


async def test_once_nobody_came_back_the_next_caller_goes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.road.waiting.TICK_SECONDS", 0)
    waiting = room()
    waiting.enter(jobs("a", "b", "c"))
    await batch(waiting)
    waiting.leave([])
    going = asyncio.create_task(batch(waiting))
    for _ in range(10):  # more than a tick each
        await turns_of_the_loop()
    monkeypatch.setattr("server.road.waiting.TICK_SECONDS", 3_600)
    waiting.enter(jobs("z"))
    await turns_of_the_loop()
    assert going.done()
    assert going.result() == ["z"]


async def test_a_full_batch_waits_for_nobody() -> None:
    waiting = room(batch_leads=2)
    waiting.enter(jobs("a", "b", "c", "d", "e"))
    assert await batch(waiting) == ["a", "b"]
    waiting.leave([])
    going = asyncio.create_task(batch(waiting))
    await turns_of_the_loop()
    assert going.done()
    assert going.result() == ["c", "d"]


async def test_jobs_that_go_again_go_first() -> None:
    waiting = room()
    waiting.enter(jobs("a", "b"))
    first = await waiting.next_batch()
    waiting.enter(jobs("c", "d"))
    waiting.leave(first)
    assert await batch(waiting) == ["a", "b", "c", "d"]


async def test_spare_jobs_let_others_pass_and_come_a_few_at_a_time() -> None:
    waiting = room(batch_leads=8)
    waiting.enter(jobs("s1", "s2", "s3"), spare=True)
    waiting.enter(jobs("a"))
    assert await batch(waiting) == ["a", "s1", "s2"]
    waiting.leave([])
    assert await batch(waiting) == ["s3"]


async def test_spare_jobs_do_not_wait_for_a_single_caller() -> None:
    waiting = room()
    waiting.enter(jobs("a"))
    await batch(waiting)
    waiting.leave([])
    waiting.enter(jobs("s"), spare=True)
    going = asyncio.create_task(batch(waiting))
    await turns_of_the_loop()
    assert going.done()
    assert going.result() == ["s"]


async def test_what_is_too_much_is_refused_whole_and_spare_jobs_are_counted_apart() -> None:
    waiting = room(pending_decisions=3)
    waiting.enter(jobs("a", "b"))
    with pytest.raises(OverloadedError):
        waiting.enter(jobs("c", "d"))
    waiting.enter(jobs("c"))
    waiting.enter(jobs("s1", "s2", "s3"), spare=True)
    with pytest.raises(OverloadedError):
        waiting.enter(jobs("s4"), spare=True)
    assert await batch(waiting) == ["a", "b", "c", "s1", "s2", "s3"]
