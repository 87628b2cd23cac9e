"""A portfolio on its way through DecideStream: what to send next, what came back, what to send again. No I/O and no clock."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from keepwell.v1.decision_pb2 import Decision
from keepwell.v1.decision_service_pb2 import (
    DecideRequest,
    DecideStreamRequest,
    DecideStreamResponse,
    DecideStreamResult,
)

from keepwell_client.errors import KeepwellError, error_of
from keepwell_client.idempotency import keyed

MESSAGE_SIZE = 256  # a message costs far more than a request; the service takes up to 1,024
MESSAGE_BYTES = 1_000_000  # of requests with long profiles fewer: the service takes 4 MB
MESSAGES_IN_FLIGHT = 4  # as many as the service works on at once
ATTEMPTS = 5
PAUSE_SECONDS = 0.1


class DecideResult(NamedTuple):
    """What came of one request: a decision or an error."""

    request: DecideRequest
    decision: Decision | None
    error: KeepwellError | None
    replayed: bool


class Sending(NamedTuple):
    """A message, and how long to wait before it is sent."""

    pause_seconds: float
    message: DecideStreamRequest


class Portfolio:
    """Requests in, results out, each exactly once; bounded in flight.

    A request that the service could not serve at the moment is sent again with its id, up to five times in all.
    """

    def __init__(self, requests: Iterable[DecideRequest]) -> None:
        self._fresh = map(keyed, requests)
        self._again: deque[DecideRequest] = deque()
        self._unanswered: dict[str, DecideRequest] = {}
        self._failures: dict[str, int] = {}
        self._pause = 0.0

    @property
    def is_answered(self) -> bool:
        """Whether nothing that was sent waits for its answer."""
        return not self._unanswered

    def next(self) -> Sending | None:
        """Return what to send now; None when enough is in flight or nothing is left."""
        if len(self._unanswered) > MESSAGE_SIZE * (MESSAGES_IN_FLIGHT - 1):
            return None
        message, message_bytes = DecideStreamRequest(), 0
        for request in self._waiting():
            self._unanswered[request.request_id] = request
            message.requests.append(request)
            message_bytes += request.ByteSize()
            if len(message.requests) == MESSAGE_SIZE or message_bytes >= MESSAGE_BYTES:
                break
        pause, self._pause = self._pause, 0.0
        return Sending(pause, message) if message.requests else None

    def _waiting(self) -> Iterator[DecideRequest]:
        """Yield what may be sent; a request waits while another one with its id is in flight."""
        for _ in range(len(self._again)):
            request = self._again.popleft()
            if request.request_id in self._unanswered:
                self._again.append(request)
            else:
                yield request
        for request in self._fresh:
            if request.request_id in self._unanswered:
                self._again.append(request)
            else:
                yield request

    def results(self, response: DecideStreamResponse) -> Iterator[DecideResult]:
        """Yield what is final in a response."""
        for result in response.results:
            request = self._unanswered.pop(result.request_id)
            final = self._final(request, result)
            if final:
                self._failures.pop(request.request_id, None)
                yield final

    def _final(self, request: DecideRequest, result: DecideStreamResult) -> DecideResult | None:
        if result.WhichOneof("outcome") == "decision":
            return DecideResult(request, result.decision, None, result.replayed)
        error = error_of(result.error, request.request_id)
        failures = self._failures[request.request_id] = self._failures.get(request.request_id, 0) + 1
        if not error.is_transient or failures == ATTEMPTS:
            return DecideResult(request, None, error, replayed=False)
        self._again.append(request)
        self._pause = max(self._pause, error.retry_seconds or PAUSE_SECONDS)
        return None

    def interrupted(self) -> None:
        """Have everything unanswered sent again: the stream broke. The ids see to it that nothing is decided twice."""
        self._again.extend(self._unanswered.values())
        self._unanswered.clear()
