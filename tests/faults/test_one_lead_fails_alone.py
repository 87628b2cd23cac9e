import asyncio
from typing import cast

import grpc
import pytest
from keepwell.v1 import decision_service_pb2 as messages
from keepwell.v1 import decision_service_pb2_grpc, lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import lead_service_pb2 as leads

from rules.lead import LeadState
from rules.vocabulary import Stage
from server.road.job import LeadRecord
from server.store.connection import connect
from server.store.keys import Partition
from server.store.record import encode_record

NO_RECORD = b"\xc1"  # a byte that MessagePack never uses
TOO_MANY_CATEGORIES = encode_record(LeadRecord(categories=("portal", "", "", "")))
NO_SUCH_STAGE = encode_record(LeadRecord(state=LeadState(stage=cast("Stage", 9))))


def plant(store_url: str, tenant: str, record: bytes) -> None:
    """Damage what the store keeps of the lead `bad`."""

    async def write() -> None:
        store = connect(store_url, timeout_seconds=2)
        await store.commit.set(Partition(tenant, 0).lead("bad"), b"1 0-0\n" + record)
        await store.aclose()

    asyncio.run(write())


@pytest.mark.parametrize("record", [NO_RECORD, TOO_MANY_CATEGORIES, NO_SUCH_STAGE])
def test_a_lead_whose_record_is_damaged_fails_and_its_batch_goes_on(
    channel: grpc.Channel, store_url: str, tenant: str, record: bytes
) -> None:
    plant(store_url, tenant, record)
    requests = [messages.DecideRequest(request_id=name, lead_id=name) for name in ("a", "bad", "b")]
    stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
    answers = stub.DecideStream(
        iter([messages.DecideStreamRequest(requests=requests)]), metadata=(("x-keepwell-tenant", tenant),)
    )
    results = {result.request_id: result for answer in answers for result in answer.results}
    assert [results[name].HasField("decision") for name in ("a", "bad", "b")] == [True, False, True]
    assert results["bad"].error.code == grpc.StatusCode.INTERNAL.value[0]
    assert results["bad"].error.message.startswith("internal error")


def test_only_the_job_with_the_fault_fails_and_the_leads_others_go_again(
    channel: grpc.Channel, store_url: str, tenant: str
) -> None:
    plant(store_url, tenant, TOO_MANY_CATEGORIES)
    stub = lead_service_pb2_grpc.LeadServiceStub(channel)
    profile = lead_pb2.LeadProfile(lead_id="bad", country="US")
    decide = decision_service_pb2_grpc.DecisionServiceStub(channel).Decide
    metadata = (("x-keepwell-tenant", tenant),)
    # Sent together, so that most of them share batches; the profiles need no score.
    failing = [decide.future(messages.DecideRequest(lead_id="bad"), metadata=metadata) for _ in range(20)]
    written = [stub.UpsertLeads.future(leads.UpsertLeadsRequest(leads=[profile]), metadata=metadata) for _ in range(20)]
    assert {call.code() for call in failing} == {grpc.StatusCode.INTERNAL}
    assert {call.result().upserted for call in written} == {1}
