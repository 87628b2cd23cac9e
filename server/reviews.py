"""Reviews: leads that nobody asks about are looked at again when their policy says so.

Any replica takes any lead that is due and sends it down the road like every other trigger (cause SCHEDULE), which sets the next review. A
decision is written when there is news (`rules/news.py`); else only the lead's record moves on. When a replica dies with leads in hand, they are
due again after the visibility time.
"""

from hashlib import blake2b

import structlog

from rules.vocabulary import Cause
from server.metrics import REVIEWS
from server.road.job import Committed, DecideInput, Reviewed
from server.road.road import Road
from server.store.connection import Store
from server.store.due import DueLead, take_due
from server.store.keys import PARTITIONS, TENANTS_KEY, Partition
from server.turns import take_turns

IDLE_SECONDS = 0.1
TAKEN_AT_ONCE = 256
VISIBILITY_MS = 30_000
log = structlog.get_logger()


class Reviews:
    """Takes what is due, for every tenant in turn."""

    def __init__(self, client: Store, road: Road, clock: str) -> None:
        self._client = client
        self._road = road
        self._clock = clock

    async def run(self) -> None:
        """Review for ever."""
        await take_turns("reviews", self.turn, IDLE_SECONDS)

    async def turn(self) -> bool:
        """Review once what is due, a batch a tenant; return whether more may be."""
        busy = False
        for name in sorted(await self._client.smembers(TENANTS_KEY)):
            for number in range(PARTITIONS):
                partition = Partition(name.decode(), number)
                due = await take_due(self._client, partition, self._clock, TAKEN_AT_ONCE, VISIBILITY_MS)
                if due:
                    await self._review(partition.tenant, due)
                busy |= len(due) == TAKEN_AT_ONCE
        return busy

    async def _review(self, tenant: str, due: list[DueLead]) -> None:
        asked = [request_of(tenant, lead) for lead in due]
        outcomes = await self._road.decide(tenant, self._clock, asked, spare=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        REVIEWS.labels("decided").inc(sum(isinstance(outcome, Committed) for outcome in outcomes))
        REVIEWS.labels("quiet").inc(sum(isinstance(outcome, Reviewed) for outcome in outcomes))
        REVIEWS.labels("put_off").inc(len(failed))
        if failed:
            log.warning("reviews_put_off", tenant=tenant, leads=len(failed), error=str(failed[0]))


def request_of(tenant: str, lead: DueLead) -> DecideInput:
    """Return the request for a review; the same review asks for the same decision."""
    name = f"{tenant}/{lead.lead_id} {lead.due_at}".encode()
    decision_id = blake2b(name, digest_size=15, person=b"review decision").hexdigest()
    return DecideInput(lead.lead_id, decision_id, bytes(16), cause=Cause.SCHEDULE)
