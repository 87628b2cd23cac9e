"""Escalations that nobody acknowledged in time: each goes to its next target, or expires, on whichever replica takes it first.

The step is made on the lead's record under the version check, and only if it is due there, so that two replicas cannot make it twice; when
one dies with leads in hand, they are due again after the visibility time.
"""

from collections.abc import Sequence

import structlog

from rules.decision import HOLDOUT
from rules.headroom import holdout_arm
from server.metrics import ESCALATION_STEPS
from server.policies import PolicyShelf
from server.road.escalating import OverdueStep
from server.road.job import Amended
from server.road.road import Road
from server.road.situation import holdout_bucket
from server.store.connection import Store
from server.store.due import take_due
from server.store.keys import PARTITIONS, TENANTS_KEY, Partition
from server.turns import take_turns

IDLE_SECONDS = 1.0
TAKEN_AT_ONCE = 256
VISIBILITY_MS = 30_000
log = structlog.get_logger()


class Overdue:
    """Takes what is due, for every tenant in turn."""

    def __init__(self, client: Store, road: Road, clock: str, shelf: PolicyShelf) -> None:
        self._client = client
        self._road = road
        self._clock = clock
        self._shelf = shelf

    async def run(self) -> None:
        """Move on what is due, for ever."""
        await take_turns("escalations", self.turn, IDLE_SECONDS)

    async def turn(self) -> bool:
        """Move on once what is due, a batch a tenant; return whether more may be."""
        busy = False
        for name in sorted(await self._client.smembers(TENANTS_KEY)):
            for number in range(PARTITIONS):
                busy |= await self._partition(Partition(name.decode(), number))
        return busy

    async def _partition(self, partition: Partition) -> bool:
        index = partition.due_escalations
        due = await take_due(self._client, partition, self._clock, TAKEN_AT_ONCE, VISIBILITY_MS, index)
        if due:
            steps = await self._steps(partition.tenant, [lead.lead_id for lead in due])
            outcomes = await self._road.amend(partition.tenant, self._clock, steps)
            moved = sum(isinstance(outcome, Amended) and bool(outcome.answer) for outcome in outcomes)
            ESCALATION_STEPS.labels("overdue").inc(moved)
            log.info("escalations_overdue", tenant=partition.tenant, moved=moved)
            failed = next((outcome for outcome in outcomes if isinstance(outcome, Exception)), None)
            if failed is not None:
                log.warning("escalations_put_off", tenant=partition.tenant, error=str(failed))
        return len(due) == TAKEN_AT_ONCE

    async def _steps(self, tenant: str, leads: Sequence[str]) -> list[tuple[str, OverdueStep]]:
        """Return each lead's step by the policy in force, which may hold a lead out that it did not before."""
        policy = await self._shelf.compiled(tenant, self._shelf.policy_of(tenant).version)
        arms = {lead: holdout_arm(policy, holdout_bucket(tenant, lead)) for lead in leads}
        return [(lead, OverdueStep(lead, arm == HOLDOUT)) for lead, arm in arms.items()]
