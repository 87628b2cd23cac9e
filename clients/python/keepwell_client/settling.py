"""What becomes of a worker's deliveries, and the calls that tell the service: as many to a call as came up meanwhile. No I/O."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from keepwell.v1.feed_service_pb2 import AcknowledgeRequest, Delivery, FeedGap, RejectRequest

LONGEST_RETRY_SECONDS = 300.0
LONGEST_ASKED_SECONDS = 604_800.0  # what the service takes: a week
UNSETTLED = "%d deliveries could not be settled and come again after their deadline: %s"
log = logging.getLogger("keepwell_client")


class RetryLaterError(Exception):
    """Raised by a handler: the delivery is to come again after so many seconds."""

    def __init__(self, seconds: float) -> None:
        if not 0 <= seconds <= LONGEST_ASKED_SECONDS:  # nor is NaN
            raise ValueError(f"seconds must be a number from 0 to {LONGEST_ASKED_SECONDS:,.0f}, not {seconds}")
        super().__init__(f"again in {seconds} s")
        self.seconds = seconds


class Settlement(NamedTuple):
    """A delivery is done; or, with `retry_seconds`, is to come again after them."""

    delivery_id: str
    retry_seconds: float | None = None


def log_gap(gap: FeedGap) -> None:
    """Say what a subscription missed: the service removed it before it was handed out."""
    log.error("%d decisions were removed by retention before they were delivered", gap.missed)


def failed(delivery: Delivery, error: Exception) -> Settlement:
    """Return when a delivery is to come again whose handler failed: after what it asked for, or longer after each attempt."""
    if isinstance(error, RetryLaterError):
        return Settlement(delivery.delivery_id, error.seconds)
    log.error("delivery %s failed, attempt %d", delivery.delivery_id, delivery.attempt, exc_info=error)
    return Settlement(delivery.delivery_id, min(2.0**delivery.attempt, LONGEST_RETRY_SECONDS))


class Settlements:
    """What the service has not been told yet: as much to a call as came up meanwhile, and again until it has answered."""

    def __init__(self, subscription: str) -> None:
        self._subscription = subscription
        self._waiting: dict[str, float | None] = {}

    def __len__(self) -> int:
        """Return for how many deliveries that is so."""
        return len(self._waiting)

    def add(self, settlement: Settlement) -> None:
        """Take one in."""
        self._waiting[settlement.delivery_id] = settlement.retry_seconds

    def calls(self) -> Iterator[AcknowledgeRequest | RejectRequest]:
        """Yield the calls that tell the service: one for what is done, and one for each delay."""
        by_delay = defaultdict(list)
        for delivery_id, delay in self._waiting.items():
            by_delay[delay].append(delivery_id)
        for delay, delivery_ids in by_delay.items():
            if delay is None:
                yield AcknowledgeRequest(subscription=self._subscription, delivery_ids=delivery_ids)
            else:
                reject = RejectRequest(subscription=self._subscription, delivery_ids=delivery_ids)
                reject.retry_after.FromMilliseconds(round(delay * 1_000))
                yield reject

    def told(self, call: AcknowledgeRequest | RejectRequest) -> None:
        """Leave out what the call said."""
        for delivery_id in call.delivery_ids:
            del self._waiting[delivery_id]
