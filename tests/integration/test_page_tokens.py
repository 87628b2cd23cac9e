"""A page token that a list did not issue is the caller's fault, and no retry helps."""

import grpc
import pytest
from keepwell.v1 import decision_service_pb2_grpc
from keepwell.v1.decision_service_pb2 import ListDecisionsRequest
from keepwell.v1.feed_service_pb2 import DeleteSubscriptionRequest, ListDeadLettersRequest, ListSubscriptionsRequest

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


def page(work: Work, token: str = "") -> tuple[list[str], str]:
    """Return the names of a page of one subscription, and the token of the next."""
    request = ListSubscriptionsRequest(page_size=1, page_token=token)
    answer = work.feed.ListSubscriptions(request, metadata=work.metadata)
    return [one.subscription for one in answer.subscriptions], answer.next_page_token


def test_subscriptions_are_paged_by_names_with_commas_and_by_names_deleted_meanwhile(work: Work) -> None:
    for name in ("a", "b,c", "d"):
        work.subscribe(subscription=name).stands()
    names, token = page(work)
    assert names == ["a"]
    work.feed.DeleteSubscription(DeleteSubscriptionRequest(subscription="a"), metadata=work.metadata)
    names, token = page(work, token)
    assert names == ["b,c"]
    assert page(work, token) == (["d"], "")


@pytest.mark.parametrize("token", ["x", "a", "ü", "1-0", "eA==", " ", "a" * 128, "a" * 129])
def test_a_token_that_the_list_of_subscriptions_did_not_issue_is_refused(work: Work, token: str) -> None:
    work.subscribe(subscription="a").stands()
    with pytest.raises(grpc.RpcError) as error:
        page(work, token)
    assert reason_of(error.value) == REFUSED


def test_a_token_of_another_tenants_list_of_subscriptions_is_refused(
    channel: grpc.Channel, work: Work, tenant: str
) -> None:
    for name in ("a", "b"):
        work.subscribe(subscription=name).stands()
    _, token = page(work)
    with pytest.raises(grpc.RpcError) as error:
        page(Work(channel, f"{tenant}x"), token)
    assert reason_of(error.value) == REFUSED


@pytest.mark.parametrize("token", ["0-0", "1-0", "0-1", f"{LAST}-0", f"1-{LAST}"])
def test_a_token_that_a_log_may_have_a_place_for_is_taken(channel: grpc.Channel, work: Work, token: str) -> None:
    work.subscribe().stands()
    decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
    request = ListDecisionsRequest(lead_id="lead", page_token=token)
    assert list(decisions.ListDecisions(request, metadata=work.metadata).decisions) == []
    dead = ListDeadLettersRequest(subscription="mail", page_token=token)
    assert list(work.feed.ListDeadLetters(dead, metadata=work.metadata).deliveries) == []
