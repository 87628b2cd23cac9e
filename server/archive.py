"""The past: decisions by id and by lead, from the log and from what was exported of it, and the replay that proves one."""

from dataclasses import replace

from model.activity import DAY_MS
from rules.compiled import CompiledPolicy
from rules.decide import Decider
from server.cold.log import ColdLog
from server.convert.decision import identity, trace_bytes
from server.errors import DecisionNotFoundError
from server.models import ModelShelf
from server.policies import PolicyShelf
from server.road.assess import assess
from server.road.assessed import NO_REUSE, Model, Reuse, Subject
from server.road.situation import situation
from server.road.world import EncodeDecision
from server.store.commands import last_log_id
from server.store.connection import Store
from server.store.entry import LogEntry
from server.store.keys import Partition, partition_of
from server.store.log import lead_entries, locate, read_entry
from server.store.record import decode_inputs, decode_record
from server.store.record_layout import DecisionInputs
from server.worker import Worker


class Archive:
    """Reads the decision log."""

    def __init__(
        self,
        client: Store,
        shelf: PolicyShelf,
        models: ModelShelf,
        encode: EncodeDecision,
        worker: Worker,
        partitions: int,
        cold: ColdLog,
    ) -> None:
        self._client = client
        self._shelf = shelf
        self._models = models
        self._encode = encode
        self._worker = worker
        self._partitions = partitions
        self._cold = cold

    async def entry(self, tenant: str, decision_id: str) -> LogEntry:
        """Return one decision, from the log or else from its export; raises DecisionNotFoundError."""
        partitions = [Partition(tenant, number) for number in range(self._partitions)]
        try:
            partition, log_id = await locate(self._client, partitions, decision_id)
        except DecisionNotFoundError:
            return await self._cold.by_decision_id(tenant, decision_id)
        try:
            return await read_entry(self._client, partition, log_id)
        except DecisionNotFoundError:
            entry = await self._cold.by_log_id(tenant, log_id)
            if entry is None:
                raise
            return entry

    async def history(self, tenant: str, lead_id: str, start: str | None, count: int) -> tuple[list[LogEntry], str]:
        """Return a page of a lead's decisions, newest first, and where the next page starts ("": nowhere)."""
        partition = partition_of(tenant, lead_id, self._partitions)
        if start is None:
            start = last_log_id(await self._client.get(partition.lead(lead_id)))
        entries, following = await lead_entries(self._client, partition, start, count, self._cold.by_log_id)
        return entries, "" if following == "0-0" else following

    async def replay(self, tenant: str, decision_id: str) -> tuple[bytes, bytes]:
        """Return a decision as it is stored, and as it comes out when it is made again; nothing (b"") when it is damaged.

        Raises:
            DecisionNotFoundError: There is none with this id.
            ReplayUnavailableError: Its policy or its model is not at hand.

        """
        entry = await self.entry(tenant, decision_id)
        found = identity(entry.decision)
        if found is None:
            return entry.decision, b""
        lead_id, model_version = found
        version, _, hits = entry.hits.partition(b":")
        inputs = decode_inputs(entry.inputs, lead_id, decision_id)
        policy = await self._shelf.compiled(tenant, version.decode(), inputs.tenant_zone)
        model = await self._models.for_replay(tenant, model_version)
        again, fired = await self._worker.run(_again, tenant, inputs, policy, model, self._encode)
        return entry.decision + trace_bytes(policy.trace_rules, hits), again + trace_bytes(policy.trace_rules, fired)


def _again(
    tenant: str, inputs: DecisionInputs, policy: CompiledPolicy, model: Model, encode: EncodeDecision
) -> tuple[bytes, bytes]:
    """Make a decision again, on an engine of its own; called in the worker thread."""
    record = decode_record(inputs.record)
    # What was used again then is used again now, however the service is set up by now.
    reuse = Reuse(model.scorer.version, DAY_MS) if inputs.reused else NO_REUSE
    model = replace(model, fault=inputs.model_fault)
    (assessed,) = assess(model, [Subject(record, inputs.request)], inputs.now, reuse)
    decider = Decider(policy)
    try:
        facts = situation(tenant, inputs.request, record, assessed, inputs.now, inputs.ceilings)
        decision = decider.decide(facts).decision
    finally:
        decider.close()
    return encode(decision, assessed), bytes(decision.hits)
