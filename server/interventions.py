"""Interventions by their ids: which lead each was granted for, and what the decision log says of it."""

from collections.abc import Iterable, Sequence

import structlog
from redis.exceptions import RedisError

from rules.compiled import CompiledPolicy
from server.convert.outcome import grants_of
from server.errors import ReplayUnavailableError, StateUnavailableError
from server.policies import PolicyShelf
from server.road.reporting import Located
from server.store.connection import Store
from server.store.entry import LogEntry
from server.store.keys import CONTACT_SECONDS, PARTITIONS, Partition
from server.store.log import Locator, find_entries, parse_locator
from server.store.outcome_record import Grant

log = structlog.get_logger()


class Interventions:
    """Looks interventions up. An id is `<decision id>.<place>`, and a decision's key outlives its log entry."""

    def __init__(self, client: Store, shelf: PolicyShelf) -> None:
        self._client = client
        self._shelf = shelf

    async def locate(self, tenant: str, intervention_ids: Iterable[str]) -> dict[str, Located]:
        """Return the interventions that the tenant has, by id; for those that the log let go of, their lead's record has to say."""
        decisions = {name: decision_id for name in intervention_ids if (decision_id := _decision_id(name))}
        try:
            found: dict[str, dict[str, Located]] = {}
            for number in range(PARTITIONS):
                found |= await self._decisions(Partition(tenant, number), list(dict.fromkeys(decisions.values())))
        except (RedisError, OSError) as error:
            raise StateUnavailableError("the store cannot be reached; nothing was noted") from error
        located = {}
        for name, decision_id in decisions.items():
            its = found.get(decision_id, {})
            if name in its or "" in its:
                located[name] = its[name] if name in its else its[""]
        return located

    async def _decisions(self, partition: Partition, decision_ids: Sequence[str]) -> dict[str, dict[str, Located]]:
        """Return each decision's interventions by id; by "" one for all of them when the log no longer says which they are."""
        keys = [partition.decision(decision_id) for decision_id in decision_ids]
        values = await self._client.mget(keys) if keys else []
        locators = {d: parse_locator(value) for d, value in zip(decision_ids, values, strict=True) if value is not None}
        entries = await find_entries(self._client, partition, [locator.log_id for locator in locators.values()])
        return {
            decision_id: await self._interventions(partition.tenant, locator, entry)
            for (decision_id, locator), entry in zip(locators.items(), entries, strict=True)
        }

    async def _interventions(self, tenant: str, locator: Locator, entry: LogEntry | None) -> dict[str, Located]:
        if entry is None:
            return {"": Located(locator.lead_id, locator.log_id, None)} if locator.lead_id else {}
        lead_id, grants = grants_of(entry.decision)
        return {
            name: Located(lead_id, locator.log_id, await self._with_ceilings(tenant, grant))
            for name, grant in grants.items()
        }

    async def _with_ceilings(self, tenant: str, grant: Grant) -> Grant:
        """Return a grant with the tenant-wide limits of the policy that it was granted by."""
        try:
            policy = await self._shelf.compiled(tenant, grant.policy_version)
        except ReplayUnavailableError as error:
            # Then a contact that failed goes on counting for the tenant: fewer contacts, never more.
            log.warning("ceilings_unknown", error=str(error))
            return grant
        return grant._replace(ceilings=_ceilings(policy, grant.channel))


def _ceilings(policy: CompiledPolicy, channel: int) -> tuple[tuple[str, int], ...]:
    return tuple(
        (limit.name, CONTACT_SECONDS) for limit in policy.limits if limit.tenant and limit.channel in (0, channel)
    )


def _decision_id(intervention_id: str) -> str:
    """Return the decision that an intervention's id names; "" when it names none."""
    decision_id, _, place = intervention_id.rpartition(".")
    return decision_id if place.isascii() and place.isdigit() else ""
