"""The road itself: what waits is gathered, decided and committed, in batches, one road for every trigger.

A batch is made of whatever waits when the road is free, and the next one starts when it is through: within this process a lead's jobs
never race. Against other processes the commit's version check decides, and the loser gathers again. (Two batches at a time were measured:
they were half as large each, and cost a fifth more.)
Deciding runs in one worker thread; the event loop reads what was sent, and moves bytes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog
from redis.exceptions import RedisError

from server.errors import (
    CommitUnknownError,
    StateUnavailableError,
)
from server.metrics import BATCH_LEADS
from server.road.assessed import Model, Reuse
from server.road.clock import ClockGuard
from server.road.compute import plan
from server.road.day import Day, day_of
from server.road.exchange import Exchange
from server.road.gathering import Part, by_partition, gather_query, tally_of, work_of
from server.road.job import (
    Amendment,
    Asked,
    Change,
    Changed,
    DecideInput,
    EventInput,
    LeadRecord,
    Outcome,
)
from server.road.reading import read
from server.road.replays import settle_replays
from server.road.settings import RoadSettings
from server.road.settling import settle_unwritten, settle_written
from server.road.tally import Tally
from server.road.ticket import Job, Note, Ticket, decision_jobs
from server.road.waiting import WaitingRoom
from server.road.work import LeadPlan
from server.road.world import EncodeDecision, Policy, World
from server.store.batch import CommitBatch, Snapshot, StoredLead
from server.store.connection import Store
from server.store.keys import Partition, partition_of
from server.store_watch import StoreWatch
from server.worker import Worker

log = structlog.get_logger()


class Road:
    """Takes jobs from every trigger; `start` it inside a running loop, `close` it when no caller is left."""

    def __init__(
        self,
        client: Store,
        settings: RoadSettings,
        policy_of: Callable[[str], Policy],
        model_of: Callable[[str], Model],
        encode: EncodeDecision,
        guard: ClockGuard,
        watch: StoreWatch,
        worker: Worker,
        publish: Callable[[str, Policy], Awaitable[None]],
    ) -> None:
        self._client = client
        self._settings = settings
        self._policy_of = policy_of
        self._model_of = model_of
        self._encode = encode
        self._guard = guard
        self._worker = worker
        self._publish = publish
        self._exchange = Exchange(client, settings, guard, watch)
        self._waiting = WaitingRoom(settings)
        self._busy = asyncio.Lock()  # held by the batch that is on the road
        self._driver: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Open the road."""
        self._driver = asyncio.create_task(self._drive())

    async def close(self) -> None:
        """Close the road; what still waits is dropped, so drain first."""
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)

    async def batch_over(self) -> None:
        """Return once the batch that is on the road now is through; those behind it take what is in force by then."""
        async with self._busy:
            pass

    async def decide(
        self,
        tenant: str,
        clock: str,
        asked: Sequence[DecideInput | Asked],
        *,
        preview: bool = False,
        spare: bool = False,
        note: Note | None = None,
    ) -> list[Outcome]:
        """Return one outcome a request, in their order; a preview writes nothing, and `spare` ones let all others pass.

        Raises:
            OverloadedError: Too much is waiting; nothing was taken on.

        """
        ticket = Ticket(len(asked), asyncio.get_running_loop())
        jobs = decision_jobs(tenant, clock, asked, ticket, preview=preview, note=note)
        return await self._travel(jobs, ticket, spare=spare)

    async def change(self, tenant: str, clock: str, changes: Sequence[tuple[str, Change]]) -> list[Outcome]:
        """Return one outcome a (lead id, change) pair; a change that returns the record it was given writes nothing."""
        ticket = Ticket(len(changes), asyncio.get_running_loop())
        jobs = [
            Job(tenant, clock, lead_id, ticket, place, change=change) for place, (lead_id, change) in enumerate(changes)
        ]
        return await self._travel(jobs, ticket)

    async def record(self, tenant: str, clock: str, events: Sequence[EventInput]) -> list[Outcome]:
        """Return one outcome an event: Recorded, or why it was refused."""
        ticket = Ticket(len(events), asyncio.get_running_loop())
        jobs = [Job(tenant, clock, event.lead_id, ticket, place, event=event) for place, event in enumerate(events)]
        return await self._travel(jobs, ticket)

    async def amend(self, tenant: str, clock: str, amendments: Sequence[tuple[str, Amendment]]) -> list[Outcome]:
        """Return one outcome a (lead id, amendment) pair: Amended, or why it was refused."""
        ticket = Ticket(len(amendments), asyncio.get_running_loop())
        jobs = [
            Job(tenant, clock, lead_id, ticket, place, amendment=amendment)
            for place, (lead_id, amendment) in enumerate(amendments)
        ]
        return await self._travel(jobs, ticket)

    async def look(self, tenant: str, clock: str, lead_id: str) -> Changed:
        """Return a lead's record as it is now."""
        (outcome,) = await self.change(tenant, clock, [(lead_id, _unchanged)])
        if isinstance(outcome, Changed):
            return outcome
        raise outcome if isinstance(outcome, Exception) else TypeError(outcome)

    async def snapshot(self, tenant: str, clock: str, lead_id: str) -> tuple[Tally, int, StoredLead]:
        """Return what a decision about the lead would be made from: tenant-wide counts, now, and its record."""
        job = Job(tenant, clock, lead_id, Ticket(1, asyncio.get_running_loop()), 0, preview=True)
        part = self._part(partition_of(tenant, lead_id, self._settings.partitions), clock, [job])
        gathered = await self._gather([part])
        if not gathered:
            raise StateUnavailableError("the store cannot be read")
        ((part, snapshot),) = gathered
        return tally_of(part.query, snapshot), snapshot.now, snapshot.leads[0]

    async def _travel(self, jobs: list[Job], ticket: Ticket, *, spare: bool = False) -> list[Outcome]:
        if not jobs:
            return []
        self._waiting.enter(jobs, spare=spare)
        await ticket.done
        return [outcome for outcome in ticket.outcomes if outcome is not None]

    # ── The driver ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _drive(self) -> None:
        task = asyncio.current_task()
        while task is None or not task.cancelling():  # see `server/turns.py`
            jobs = await self._waiting.next_batch()
            async with self._busy:
                await self._run(jobs)

    async def _run(self, jobs: list[Job]) -> None:
        BATCH_LEADS.observe(len(jobs))
        again: list[Job] = []
        clock = asyncio.get_running_loop().time
        started_at = clock()
        try:
            again = await self._pass(jobs)
        except (StateUnavailableError, CommitUnknownError) as error:
            self._fail(jobs, error)
            if clock() - started_at >= self._settings.timeout_seconds:
                # Whoever waits would wait as long again, batch after batch, to be told the same.
                silent = StateUnavailableError("the store does not answer; nothing was decided")
                self._fail(self._waiting.turn_away(), silent)
        except RedisError as error:
            self._fail(jobs, StateUnavailableError(f"the store cannot be read: {error}"))
        except Exception as error:
            log.exception("batch_failed", jobs=len(jobs))
            self._fail(jobs, error)
        finally:
            self._waiting.leave(again)

    @staticmethod
    def _fail(jobs: Sequence[Job], error: Exception) -> None:
        for job in jobs:
            if job.ticket.outcomes[job.place] is None:
                job.settle(error)

    async def _pass(self, jobs: list[Job]) -> list[Job]:
        """Take a batch down the road; return the jobs that have to go again."""
        ready = read(jobs)
        if not ready:
            return []
        gathered = await self._gather(self._parts(ready))
        if any(any(snapshot.decisions) or snapshot.known for _, snapshot in gathered):
            await self._exchange.confirm()
        decided = await settle_replays(self._client, gathered)
        for part, _ in gathered:
            if not all(job.preview for job in part.jobs):
                await self._publish(part.partition.tenant, part.policy)
        computed = await self._worker.run(self._compute, decided)
        return await self._commit(computed)

    def _parts(self, jobs: list[Job]) -> list[Part]:
        groups = by_partition(jobs, self._settings.partitions)
        return [self._part(partition, clock, group) for (partition, clock), group in groups.items()]

    def _part(self, partition: Partition, clock: str, jobs: list[Job]) -> Part:
        policy = self._policy_of(partition.tenant)
        estimate = self._guard.estimate(partition.tenant, clock)
        query = gather_query(partition, clock, estimate, policy, self._settings, jobs)
        return Part(partition, clock, policy, query, jobs)

    async def _gather(self, parts: list[Part]) -> list[tuple[Part, Snapshot]]:
        """Return the parts that the store told something of; the jobs of the others are settled."""
        gathered = []
        for part, found in zip(parts, await self._exchange.gather(parts), strict=True):
            if isinstance(found, Exception):
                self._fail(part.jobs, found)
            else:
                gathered.append((part, found))
        return gathered

    def _compute(self, decided: list[tuple[Part, Snapshot]]) -> list[tuple[Part, Day, list[LeadPlan]]]:
        """Plan every part; called in the worker thread."""
        computed = []
        for part, snapshot in decided:
            day = day_of(snapshot.now, self._settings.tenant_time_zone)
            tenant = part.partition.tenant
            model = self._model_of(tenant)
            reuse = Reuse(model.scorer.version, self._settings.assessment_reuse_seconds * 1_000)
            world = World(tenant, part.policy, model, snapshot.now, day, self._encode, reuse)
            computed.append((part, day, plan(world, work_of(part, snapshot), tally_of(part.query, snapshot))))
        return computed

    async def _commit(self, computed: list[tuple[Part, Day, list[LeadPlan]]]) -> list[Job]:
        batches, plans = [], []
        again: list[Job] = []
        for part, day, lead_plans in computed:
            written, writes, going_again = settle_unwritten(lead_plans)
            again += going_again
            if written:
                clock = "store" if part.clock == "store" else "manual"
                batches.append(CommitBatch(part.partition, clock, day.name, self._settings.decision_seconds, writes))
                plans.append(written)
        replies = await self._exchange.commit(batches) if batches else []
        for of_part, reply in zip(plans, replies, strict=True):
            if isinstance(reply, Exception):
                self._fail([job for lead_plan in of_part for job, _ in lead_plan.outcomes], reply)
            else:
                again += settle_written(of_part, reply)
        return again


def _unchanged(record: LeadRecord, _now: int) -> LeadRecord:
    return record
