"""`keepwell feed check`: what the feed promises, tried on a running service with decisions of its own.

A stream is watched while decisions are made one by one, so that there is a token at many places. Then every one of them has to resume to
exactly what had not been received yet, and everything that is no token of this stream has to be refused by name.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from google.protobuf.empty_pb2 import Empty
from grpc import aio
from keepwell.v1 import feed_service_pb2 as messages

from server.conformance.feed_client import PATIENCE, FeedClient, Item, Refusal, items_of

LEADS = 5
LARGEST_MESSAGE = 256
RESUMED_AT_ONCE = 16
LATEST = messages.FeedStart(latest=Empty())
INVALID = ("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID")
EXPIRED = ("OUT_OF_RANGE", "RESUME_TOKEN_EXPIRED")


class Finding(NamedTuple):
    """One promise, and what was seen of it; `kept` is None when it could not be tried."""

    promise: str
    kept: bool | None
    detail: str


class Mark(NamedTuple):
    """A token, and how many decisions had been received with it."""

    token: str
    checkpoint: bool
    received: int


class Observed(NamedTuple):
    """What one stream brought while decisions were made."""

    made: list[Item]
    received: list[Item]
    marks: list[Mark]
    largest: int


def difference(expected: Sequence[Item], found: Sequence[Item]) -> str:
    """Return in words how what was found differs from what was expected; "" when it is the same in each lead's order."""
    wanted, got = Counter(expected), Counter(found)
    missing, surplus = wanted - got, got - wanted
    if missing:
        return f"{missing.total()} of {len(expected)} missing, such as {next(iter(missing)).decision_id}"
    if surplus:
        return f"{surplus.total()} too many, such as {next(iter(surplus)).decision_id}"
    for lead_id in {item.lead_id for item in expected}:
        if [item for item in expected if item.lead_id == lead_id] != [
            item for item in found if item.lead_id == lead_id
        ]:
            return f"decisions of {lead_id} are out of order"
    return ""


def after(token: str) -> messages.FeedStart:
    """Return the start right after a token."""
    return messages.FeedStart(after=token)


async def observe(client: FeedClient, wanted: messages.FeedFilter, decisions: int) -> Observed:
    """Return what a stream brings while so many decisions are made."""
    made: list[Item] = []
    received: list[Item] = []
    marks: list[Mark] = []
    largest = silence = 0
    making: asyncio.Task[None] | None = None
    async for response in client.watch(LATEST, wanted):
        if making is None:  # the stream stands: from here on nothing may be missed
            making = asyncio.create_task(client.decide_all(wanted, decisions, made))
        received += items_of(response)
        largest = max(largest, len(response.decisions))
        marks.append(Mark(response.resume_token, response.checkpoint, len(received)))
        silence = 0 if response.decisions else silence + 1
        if making.done() and response.checkpoint and (len(received) >= decisions or silence > PATIENCE):
            break
    if making is not None:
        await making
    return Observed(made, received, marks, largest)


class FeedCheck:
    """All checks, against one tenant of one service."""

    def __init__(self, channel: aio.Channel, tenant: str, decisions: int, old_token: str) -> None:
        self._client = FeedClient(channel, tenant)
        self._foreign = FeedClient(channel, f"{tenant}-other")
        self._decisions = decisions
        self._old_token = old_token
        run = uuid.uuid4().hex[:8]
        self._wanted = messages.FeedFilter(lead_ids=[f"feed-check-{run}-{number}" for number in range(LEADS)])

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what was seen of each promise."""
        observed = await observe(self._client, self._wanted, self._decisions)
        first = observed.marks[0].token
        yield _stream(observed)
        yield _message_size(observed)
        yield await self._resume("a token of decisions resumes right after them", observed, checkpoint=False)
        yield await self._resume("a checkpoint is never ahead of data", observed, checkpoint=True)
        yield await self._at_time(observed)
        yield await self._reconnect(observed)
        for promise, client, token, wanted in (
            ("a damaged token is refused", self._client, damaged(first), self._wanted),
            ("what is no token is refused", self._client, "no token", self._wanted),
            ("another tenant's token is refused", self._foreign, first, self._wanted),
            ("another filter's token is refused", self._client, first, messages.FeedFilter(escalations_only=True)),
        ):
            yield _judged(promise, await client.refusal(after(token), wanted), INVALID)
        yield await self._expired()

    async def _resume(self, promise: str, observed: Observed, *, checkpoint: bool) -> Finding:
        marks = [mark for mark in observed.marks if mark.checkpoint == checkpoint]
        room = asyncio.Semaphore(RESUMED_AT_ONCE)

        async def one(mark: Mark) -> str:
            had = set(observed.received[: mark.received])
            rest = [item for item in observed.made if item not in had]
            async with room:
                found = await self._client.read(after(mark.token), self._wanted, len(rest))
            return difference(rest, found)

        wrong = [text for text in await asyncio.gather(*map(one, marks)) if text]
        detail = f"{len(wrong)} of {len(marks)} tokens: {wrong[0]}" if wrong else f"{len(marks)} tokens"
        return Finding(promise, bool(marks) and not wrong, detail)

    async def _reconnect(self, observed: Observed) -> Finding:
        """Leave after each message with decisions, and go on with its token, while more are made."""
        token, found, made = observed.marks[-1].token, list[Item](), list[Item]()
        making = asyncio.create_task(self._client.decide_all(self._wanted, self._decisions, made))
        streams = silence = 0
        while len(found) < self._decisions and silence <= PATIENCE:
            streams += 1
            async for response in self._client.watch(after(token), self._wanted):
                found += items_of(response)
                token = response.resume_token
                silence = 0 if response.decisions else silence + 1
                if response.decisions or silence > PATIENCE:
                    break
        await making
        wrong = difference(made, found)
        return Finding("nothing is lost or repeated across reconnects", not wrong, wrong or f"{streams} streams")

    async def _at_time(self, observed: Observed) -> Finding:
        start = messages.FeedStart()
        start.at_time.FromSeconds(1)
        found = await self._client.read(start, self._wanted, len(observed.made))
        wrong = difference(observed.made, found)
        return Finding("a start at a time brings everything since", not wrong, wrong or f"{len(found)} decisions")

    async def _expired(self) -> Finding:
        promise = "a token that is too old is refused, and says where to start"
        if not self._old_token:
            return Finding(promise, None, "not tried: --old-token names none")
        refusal = await self._client.refusal(after(self._old_token), messages.FeedFilter())
        finding = _judged(promise, refusal, EXPIRED)
        if not finding.kept or refusal is None:
            return finding
        again = await self._client.refusal(after(refusal.metadata.get("earliest_token", "")), messages.FeedFilter())
        return Finding(
            promise, again is None, "earliest_token resumes" if again is None else "earliest_token does not resume"
        )


def _stream(observed: Observed) -> Finding:
    wrong = difference(observed.made, observed.received)
    return Finding("every decision once, in its lead's order", not wrong, wrong or f"{len(observed.made)} decisions")


def _message_size(observed: Observed) -> Finding:
    kept = 0 < observed.largest <= LARGEST_MESSAGE
    return Finding(f"at most {LARGEST_MESSAGE} decisions a message", kept, f"{observed.largest} at most")


def damaged(token: str) -> str:
    """Return a token with one character changed, in the middle."""
    middle = len(token) // 2
    return token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]


def _judged(promise: str, refusal: Refusal | None, expected: tuple[str, str]) -> Finding:
    if refusal is None:
        return Finding(promise, kept=False, detail="it was served")
    return Finding(promise, refusal[:2] == expected, f"{refusal.code}/{refusal.reason or 'no reason'}")
