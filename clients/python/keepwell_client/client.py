"""The client for threads. `aio.py` is the same for asyncio: what both do lies in the modules without I/O, and only the waiting is here."""

from __future__ import annotations  # gRPC's type stubs are generic, its classes are not

import queue
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import grpc
from google.protobuf.message import Message
from keepwell.v1.decision_pb2 import Decision
from keepwell.v1.decision_service_pb2 import DecideRequest, DecideResponse, DecideStreamRequest
from keepwell.v1.decision_service_pb2_grpc import DecisionServiceStub
from keepwell.v1.escalation_service_pb2_grpc import EscalationServiceStub
from keepwell.v1.feed_service_pb2 import Delivery, FeedFilter, FeedGap, FeedStart, SubscribeRequest
from keepwell.v1.feed_service_pb2_grpc import FeedServiceStub
from keepwell.v1.lead_pb2 import LeadEvent, LeadProfile
from keepwell.v1.lead_service_pb2 import (
    RecordEventsRequest,
    RecordEventsResponse,
    SetConsentRequest,
    SetConsentResponse,
    UpsertLeadsRequest,
    UpsertLeadsResponse,
)
from keepwell.v1.lead_service_pb2_grpc import LeadServiceStub
from keepwell.v1.outcome_service_pb2 import Outcome, ReportOutcomesRequest, ReportOutcomesResponse
from keepwell.v1.outcome_service_pb2_grpc import OutcomeServiceStub

from keepwell_client.connection import (
    DEADLINE_SECONDS,
    HEARTBEAT_SECONDS,
    STREAM_SECONDS,
    call_metadata,
    channel_options,
)
from keepwell_client.errors import error_of_call
from keepwell_client.idempotency import key_of, keyed
from keepwell_client.portfolio import DecideResult, Portfolio
from keepwell_client.reconnect import PATIENCE_SECONDS, Reconnect
from keepwell_client.requests import subscribe_request, watch_request
from keepwell_client.settling import log_gap
from keepwell_client.tokens import MemoryTokenStore, TokenStore
from keepwell_client.worker import Worker

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Client:
    """Calls Keepwell for one tenant. Any number of threads may share it.

    Every call has a deadline, is retried while the service says that it is unavailable, and carries an idempotency key: the request's
    `request_id`, or one made for the call. What goes wrong is raised as a `KeepwellError`.

    Args:
        address: HOST:PORT of the service.
        tenant: Whose leads; empty when the credentials say so, or for the service's default.
        credentials: How to connect; absent means without encryption, which the service accepts on its own machine only.
        metadata: Sent with every call besides.
        deadline_seconds: How long a call may take, retries included.

    """

    def __init__(
        self,
        address: str,
        tenant: str = "",
        *,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Iterable[tuple[str, str]] = (),
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        options = channel_options()
        self.channel = (
            grpc.secure_channel(address, credentials, options)
            if credentials
            else grpc.insecure_channel(address, options)
        )
        self.metadata = call_metadata(tenant, metadata)
        self.deadline_seconds = deadline_seconds
        self.decisions = DecisionServiceStub(self.channel)
        self.feed = FeedServiceStub(self.channel)
        self.leads = LeadServiceStub(self.channel)
        self.outcomes = OutcomeServiceStub(self.channel)
        self.escalations = EscalationServiceStub(self.channel)
        self.is_closed = False

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connection; what watches or works in other threads ends, and a call under way is cancelled."""
        self.is_closed = True
        self.channel.close()

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        deadline_seconds: float | None = None,
    ) -> Response:
        """Return the answer of any unary method, such as `client.escalations.GetEscalation`.

        Raises:
            KeepwellError: The service refused, or did not answer in time.

        """
        request = keyed(request)
        try:
            return method(request, timeout=deadline_seconds or self.deadline_seconds, metadata=self.metadata)
        except grpc.RpcError as error:
            raise error_of_call(error, key_of(request)) from error

    def decide(self, request: DecideRequest) -> DecideResponse:
        """Return what was decided about a lead, committed and on the feed."""
        return self.call(self.decisions.Decide, request)

    def preview(self, request: DecideRequest) -> DecideResponse:
        """Return what would be decided; nothing is written."""
        return self.call(self.decisions.Preview, request)

    def upsert_leads(self, leads: Iterable[LeadProfile]) -> UpsertLeadsResponse:
        """Write at most 1,000 profiles; return how many were written and which were refused."""
        return self.call(self.leads.UpsertLeads, UpsertLeadsRequest(leads=leads))

    def set_consent(self, request: SetConsentRequest) -> SetConsentResponse:
        """Record what a lead said about being contacted; return what now counts."""
        return self.call(self.leads.SetConsent, request)

    def record_events(self, events: Iterable[LeadEvent]) -> RecordEventsResponse:
        """Record at most 1,000 events; return how many were new, and which were refused."""
        return self.call(self.leads.RecordEvents, RecordEventsRequest(events=events))

    def report_outcomes(self, outcomes: Iterable[Outcome]) -> ReportOutcomesResponse:
        """Report what became of at most 1,000 interventions; return one acknowledgement for each."""
        return self.call(self.outcomes.ReportOutcomes, ReportOutcomesRequest(outcomes=outcomes))

    def decide_many(
        self, requests: Iterable[DecideRequest], patience_seconds: float = PATIENCE_SECONDS
    ) -> Iterator[DecideResult]:
        """Yield what was decided about each lead of a portfolio, in any order: a decision or an error.

        Requests are taken as results are, about a thousand ahead. A broken stream goes on where it was. With request ids of your own, a
        portfolio can be run again as a whole, and what was decided before is answered (`replayed`).

        Raises:
            KeepwellError: The service refuses the stream itself, or is away for longer than `patience_seconds`.

        """
        portfolio = Portfolio(requests)
        reconnect = Reconnect(patience_seconds, time.monotonic())
        while True:
            outbox: queue.SimpleQueue[DecideStreamRequest | None] = queue.SimpleQueue()
            reconnect.opened(time.monotonic())
            call = self.decisions.DecideStream(iter(outbox.get, None), timeout=STREAM_SECONDS, metadata=self.metadata)
            failure = None
            try:
                while _send(portfolio, outbox):
                    yield from portfolio.results(next(call))
                    reconnect.arrived()
            except StopIteration:
                pass  # the service drains
            except grpc.RpcError as error:
                failure = error_of_call(error)
            finally:
                outbox.put(None)
                call.cancel()
            if portfolio.is_answered:
                return
            portfolio.interrupted()
            time.sleep(reconnect.delay(failure, time.monotonic()))

    def watch(
        self,
        feed_filter: FeedFilter | None = None,
        tokens: TokenStore | None = None,
        *,
        start: FeedStart | None = None,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> Iterator[Decision]:
        """Yield the tenant's decisions, each lead's in their order, until the client is closed.

        The token of a message is saved when the caller asks for what follows it, so when it has handled all of it. A broken stream goes on
        after the saved token: within a process every decision comes once, and after a crash again from the last token.

        Args:
            feed_filter: Which decisions; absent means all.
            tokens: Where the position is kept; absent means in memory.
            start: Where to start when there is no token yet, such as `EARLIEST`; absent means what is decided from now on.
            heartbeat_seconds: The position moves on at least so often while nothing passes the filter.
            patience_seconds: How long the service may be away before its error is raised.

        Raises:
            ResumeTokenExpiredError: Decisions after the token were removed by retention.
            KeepwellError: The service refuses, or is away for too long.

        """
        tokens = tokens or MemoryTokenStore()
        reconnect = Reconnect(patience_seconds, time.monotonic())
        while not self.is_closed:
            request = watch_request(feed_filter, start, tokens.load(), heartbeat_seconds)
            reconnect.opened(time.monotonic())
            call = self.feed.WatchDecisions(request, timeout=STREAM_SECONDS, metadata=self.metadata)
            failure = None
            try:
                for response in call:
                    yield from response.decisions
                    tokens.save(response.resume_token)
                    reconnect.arrived()
            except grpc.RpcError as error:
                failure = error_of_call(error)
            finally:
                call.cancel()
            if not self.is_closed:
                time.sleep(reconnect.delay(failure, time.monotonic()))

    def worker(
        self,
        subscription: str | SubscribeRequest,
        handler: Callable[[Delivery], None],
        *,
        concurrency: int = 1,
        on_gap: Callable[[FeedGap], None] = log_gap,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> Worker:
        """Return a worker that handles a subscription's deliveries when it is run.

        Args:
            subscription: Its name, or with a filter, a deadline, ….
            handler: Does the work, in a thread. What it returns from is acknowledged. What it raises from comes again: `RetryLaterError` says
                when, any other exception is logged. The same delivery may come more than once, `delivery.decision` tells.
            concurrency: Deliveries handled at once; with 1 (and one consumer) in the order of the feed.
            on_gap: Told what retention removed before it was delivered.
            patience_seconds: How long the service may be away.

        """
        request = subscribe_request(subscription, concurrency)
        return Worker(self, request, handler, concurrency, on_gap, patience_seconds)

    def work(self, subscription: str | SubscribeRequest, handler: Callable[[Delivery], None]) -> None:
        """Handle a subscription's deliveries one after the other, for ever; see `worker`."""
        self.worker(subscription, handler).run()


def _send(portfolio: Portfolio, outbox: queue.SimpleQueue[DecideStreamRequest | None]) -> bool:
    """Send what may be sent now; return whether an answer is to come."""
    while sending := portfolio.next():
        time.sleep(sending.pause_seconds)
        outbox.put(sending.message)
    return not portfolio.is_answered
