"""One tenant's subscriptions, and decisions to hand out."""

import uuid
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc, feed_service_pb2_grpc
from keepwell.v1 import feed_service_pb2 as messages

from tests.integration.test_feed import EARLIEST

LONG = Duration(seconds=3_600)
LATEST = messages.FeedStart(latest=Empty())


class Work:
    """One tenant's subscriptions, and a way to put decisions into its feed."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self._decisions = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self.feed = feed_service_pb2_grpc.FeedServiceStub(channel)
        self.metadata = (("x-keepwell-tenant", tenant),)

    def decide(self, probability: float = 0.5, lead_id: str = "lead") -> str:
        request = decision_service_pb2.DecideRequest(
            request_id=uuid.uuid4().hex, lead_id=lead_id, churn_probability=probability
        )
        return self._decisions.Decide(request, metadata=self.metadata).decision.decision_id

    def subscribe(self, **fields: object) -> "Consumer":
        given: dict[str, object] = {"subscription": "mail", "consumer": "one", "ack_deadline": LONG, "start": EARLIEST}
        request = messages.SubscribeRequest(**(given | fields))  # type: ignore[arg-type]
        call = self.feed.Subscribe(request, metadata=self.metadata, timeout=30)
        return Consumer(call)

    def acknowledge(self, *deliveries: messages.Delivery, subscription: str = "mail") -> None:
        ids = [delivery.delivery_id for delivery in deliveries]
        request = messages.AcknowledgeRequest(subscription=subscription, delivery_ids=ids)
        self.feed.Acknowledge(request, metadata=self.metadata)

    def reject(self, *deliveries: messages.Delivery, retry_after: Duration | None = None) -> None:
        ids = [delivery.delivery_id for delivery in deliveries]
        request = messages.RejectRequest(subscription="mail", delivery_ids=ids, retry_after=retry_after)
        self.feed.Reject(request, metadata=self.metadata)

    def seek(self, start: messages.FeedStart) -> None:
        request = messages.SeekSubscriptionRequest(subscription="mail", start=start)
        self.feed.SeekSubscription(request, metadata=self.metadata)

    def listed(self) -> list[messages.Subscription]:
        answer = self.feed.ListSubscriptions(messages.ListSubscriptionsRequest(), metadata=self.metadata)
        return list(answer.subscriptions)

    def dead(self) -> list[messages.Delivery]:
        request = messages.ListDeadLettersRequest(subscription="mail")
        return list(self.feed.ListDeadLetters(request, metadata=self.metadata).deliveries)


class Consumer:
    """One stream of deliveries."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self._deliveries: Iterator[messages.Delivery] = (
            delivery for response in iter(call) for delivery in response.deliveries
        )

    def stands(self) -> "Consumer":
        """Return once the subscription is there."""
        self.call.initial_metadata()
        return self

    def next(self) -> messages.Delivery:
        return next(self._deliveries)

    def take(self, count: int) -> list[messages.Delivery]:
        return [self.next() for _ in range(count)]

    def leave(self) -> None:
        self.call.cancel()


def decisions(deliveries: list[messages.Delivery]) -> list[str]:
    return [delivery.decision.decision_id for delivery in deliveries]
