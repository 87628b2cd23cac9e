"""LeadService: who leads are and what they agreed to."""

from collections.abc import Mapping, Sequence

import structlog
from keepwell.v1 import lead_pb2
from keepwell.v1 import lead_service_pb2 as messages

from rules.headroom import cooldowns, headroom, holdout_arm
from server.caller import Caller
from server.convert.checks import Checker, check_batch
from server.convert.lead import consent_change, consent_messages, lead_view, profile_change, profile_of
from server.convert.request import fingerprint_of
from server.errors import IdempotencyMismatchError, InvalidFieldsError, LeadNotFoundError
from server.event_types import EventTypes
from server.policies import PolicyShelf
from server.road.changing import ChangeOnce
from server.road.job import Amended, Outcome
from server.road.road import Road
from server.road.situation import holdout_bucket
from server.rpc import Handler
from server.services.event_service import EventIntake
from server.services.store_errors import store_errors
from server.status import status_of
from server.store.connection import Store
from server.store.keys import REQUEST_SECONDS, request_key
from server.store.record import decode_record

UPSERT_LEADS = 1_000
PART_SECONDS = 600  # no call lasts longer
log = structlog.get_logger()


class LeadService:
    """Keeps what decisions are made from."""

    def __init__(self, road: Road, shelf: PolicyShelf, types: EventTypes, client: Store) -> None:
        self._road = road
        self._shelf = shelf
        self._client = client
        self._events = EventIntake(road, types)

    @property
    def handlers(self) -> Mapping[str, Handler]:
        """The methods that are served."""
        return {
            "RecordEvents": self._events.record_events,
            "StreamEvents": self._events.stream_events,
            "UpsertLeads": self.upsert_leads,
            "GetLead": self.get_lead,
            "SetConsent": self.set_consent,
        }

    async def upsert_leads(self, request: messages.UpsertLeadsRequest, caller: Caller) -> messages.UpsertLeadsResponse:
        """Write profiles; those that are refused do not harm the others."""
        check_batch(request.request_id, "leads", len(request.leads), UPSERT_LEADS)
        tenant, fingerprint = caller.tenant, fingerprint_of(request)
        changes: list[tuple[str, ChangeOnce]] = []
        rejected: dict[int, InvalidFieldsError] = {}
        for place, lead in enumerate(request.leads):
            key = request_key(tenant, f"{request.request_id} {place}") if request.request_id else ""
            try:
                change = profile_change(profile_of(f"leads[{place}]", lead))
                changes.append((lead.lead_id, ChangeOnce(change, key, fingerprint)))
            except InvalidFieldsError as error:
                rejected[place] = error
        if rejected and not changes:
            raise InvalidFieldsError(*(found for error in rejected.values() for found in error.violations))
        replayed = await self._seen(tenant, request.request_id, fingerprint)
        if not replayed:
            made = _raise_first(await self._road.amend(tenant, caller.clock, changes))
            replayed = all(each.replayed for each in made)
            await self._note(tenant, request.request_id, fingerprint, [once.key for _, once in changes])
        log.info("leads_upserted", leads=len(changes), refused=len(rejected), replayed=replayed)
        return messages.UpsertLeadsResponse(
            upserted=len(changes),
            rejected=[lead_pb2.RejectedItem(index=place, status=status_of(e)) for place, e in rejected.items()],
            replayed=replayed,
        )

    async def set_consent(self, request: messages.SetConsentRequest, caller: Caller) -> messages.SetConsentResponse:
        """Record what a lead said."""
        key = request_key(caller.tenant, request.request_id) if request.request_id else ""
        once = ChangeOnce(consent_change(request), key, fingerprint_of(request))
        (said,) = _raise_first(await self._road.amend(caller.tenant, caller.clock, [(request.lead_id, once)]))
        now = await self._road.look(caller.tenant, caller.clock, request.lead_id)
        log.info("consent_set", replayed=said.replayed)
        return messages.SetConsentResponse(consent=consent_messages(now.record.state), replayed=said.replayed)

    async def get_lead(self, request: messages.GetLeadRequest, caller: Caller) -> lead_pb2.LeadView:
        """Show everything that is remembered of a lead; uses nothing up."""
        check = Checker()
        check.identifier("lead_id", request.lead_id)
        check.raise_if_any()
        tally, now, stored = await self._road.snapshot(caller.tenant, caller.clock, request.lead_id)
        if stored.version == 0:
            raise LeadNotFoundError("there is no lead with this id")
        record = decode_record(stored.record)
        policy = await self._shelf.compiled(caller.tenant, self._shelf.policy_of(caller.tenant).version)
        rows = headroom(policy, record.profile, record.state, tally.readings, now)
        arm = holdout_arm(policy, holdout_bucket(caller.tenant, request.lead_id))
        return lead_view(request.lead_id, record, now, rows, cooldowns(policy, record.state, now), arm)

    async def _seen(self, tenant: str, request_id: str, fingerprint: bytes) -> bool:
        """Return whether this request was done before; raises IdempotencyMismatchError when another one was."""
        if not request_id:
            return False
        with store_errors("; nothing was changed"):
            known = await self._client.get(request_key(tenant, request_id))
        if known is not None and known != fingerprint:
            raise IdempotencyMismatchError
        return known is not None

    async def _note(self, tenant: str, request_id: str, fingerprint: bytes, parts: Sequence[str]) -> None:
        """Remember that a whole request was done; what remembers its parts then serves only repetitions that are under way."""
        if not request_id:
            return
        with store_errors("; it was done, and is done once if it is sent again"):
            pipeline = self._client.pipeline(transaction=False)
            pipeline.set(request_key(tenant, request_id), fingerprint, nx=True, ex=REQUEST_SECONDS)
            for key in parts:
                pipeline.expire(key, PART_SECONDS)
            await pipeline.execute()


def _raise_first(outcomes: list[Outcome]) -> list[Amended]:
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Amended)]
