"""A page token that a list did not issue is the caller's fault, and no retry helps."""

import grpc
import pytest
from keepwell.v1 import decision_service_pb2_grpc
from keepwell.v1.decision_service_pb2 import ListDecisionsRequest
from keepwell.v1.feed_service_pb2 import ListDeadLettersRequest

from tests.integration.subscriptions import Work
from tests.integration.test_feed import reason_of

LAST = "18446744073709551615"
BEYOND = "18446744073709551616"
REFUSED = ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


@pytest.mark.parametrize(
    "token",
    [
        *("²-0", "٣-0", "0-٣", "9" * 30 + "-0", "1-" + "9" * 30, f"{BEYOND}-0", f"1-{BEYOND}", f"{LAST}-{LAST}"),
        *("1", "-", "1-", "-1", "1-2-3", "1 -2", "01-2", "1-02", "+1-2", "(1-2", "1-2\n", "x"),
    ],
)
def test_a_token_that_no_log_has_a_place_for_is_refused(channel: grpc.Channel, work: Work, token: str) -> None:
    work.subscribe().stands()
    decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
    with pytest.raises(grpc.RpcError) as listing:
        decisions.ListDecisions(ListDecisionsRequest(lead_id="lead", page_token=token), metadata=work.metadata)
    assert reason_of(listing.value) == REFUSED
    with pytest.raises(grpc.RpcError) as dead:
        work.feed.ListDeadLetters(ListDeadLettersRequest(subscription="mail", page_token=token), metadata=work.metadata)
    assert reason_of(dead.value) == REFUSED


@pytest.mark.parametrize("token", ["0-0", "1-0", "0-1", f"{LAST}-0", f"1-{LAST}"])
def test_a_token_that_a_log_may_have_a_place_for_is_taken(channel: grpc.Channel, work: Work, token: str) -> None:
    work.subscribe().stands()
    decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
    request = ListDecisionsRequest(lead_id="lead", page_token=token)
    assert list(decisions.ListDecisions(request, metadata=work.metadata).decisions) == []
    dead = ListDeadLettersRequest(subscription="mail", page_token=token)
    assert list(work.feed.ListDeadLetters(dead, metadata=work.metadata).deliveries) == []
