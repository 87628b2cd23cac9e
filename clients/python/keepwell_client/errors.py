"""What can go wrong, as exceptions: one for each reason of the contract (`error_reason.proto`), each with all that the service said.

An error without a reason comes from the way to the service (`UnreachableError`, `DeadlineExceededError`) or is a fault of the
service (`KeepwellError` itself, with its status code).
"""

import re
from typing import ClassVar, TypeVar, cast

import grpc
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

STATUS = "grpc-status-details-bin"
Detail = TypeVar("Detail", bound=Message)


class KeepwellError(Exception):
    """A call, or an item of a batch, failed.

    Attributes:
        code: Name of the status code, such as `INVALID_ARGUMENT`.
        reason: The contract's reason, such as `INVALID_FIELD`; empty when there is none.
        message: What the service said.
        metadata: The reason's data, by name.
        field_violations: What is allowed in each bad field, by its path in the request.
        retry_seconds: After how long a retry may help; None when the service did not say.
        request_id: The call's idempotency key; empty when it has none. Calling again with it is safe, and tells what became of the call.

    """

    kinds: ClassVar[dict[str, type["KeepwellError"]]] = {}

    def __init_subclass__(cls) -> None:
        """Make the class known by its reason, which is its name: `LeadNotFoundError` is LEAD_NOT_FOUND."""
        words = re.findall("[A-Z][a-z]+", cls.__name__.removesuffix("Error"))
        cls.kinds["_".join(words).upper()] = cls

    def __init__(self, status: Status, request_id: str = "") -> None:
        info, bad, retry = _detail(status, ErrorInfo()), _detail(status, BadRequest()), _detail(status, RetryInfo())
        self.code = Code.Name(cast("Code.ValueType", status.code))
        self.reason = info.reason
        self.message = status.message
        self.metadata = dict(info.metadata)
        self.field_violations = {each.field: each.description for each in bad.field_violations}
        self.retry_seconds = retry.retry_delay.ToMilliseconds() / 1_000 if retry.HasField("retry_delay") else None
        self.request_id = request_id
        fields = "".join(f"; {field}: {allowed}" for field, allowed in self.field_violations.items())
        super().__init__(f"{'/'.join(filter(None, (self.code, self.reason)))}: {self.message}{fields}")

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code in {"UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED"}


class UnreachableError(KeepwellError):
    """UNAVAILABLE or CANCELLED without a reason: nobody answered at the address, the connection broke, or the service ended under the call."""


class DeadlineExceededError(KeepwellError):
    """The call took longer than its deadline; what it asked for may have been done."""


class InvalidFieldError(KeepwellError):
    """Fields are bad, see `field_violations`; nothing was done."""


class MalformedRequestError(KeepwellError):
    """The bytes are not the message that the method takes."""


class TenantInvalidError(KeepwellError):
    """The tenant's name is not one."""


class PageTokenInvalidError(KeepwellError):
    """Another call issued the page token."""


class ResumeTokenInvalidError(KeepwellError):
    """The resume token is damaged, or belongs to another tenant or filter."""


class ResumeTokenExpiredError(KeepwellError):
    """The feed no longer holds what follows the token; decisions were missed. Metadata: `earliest_token`, `earliest_at`."""


class IdempotencyMismatchError(KeepwellError):
    """The request id was used before, with another body."""


class ManualClockOffError(KeepwellError):
    """The call sets the time, and the server keeps the store's."""


class ReplayUnavailableError(KeepwellError):
    """The policy or model that a decision was made with is not at hand."""


class DecisionNotFoundError(KeepwellError):
    """The tenant's log has no such decision."""


class LeadNotFoundError(KeepwellError):
    """The tenant has no such lead."""


class InterventionNotFoundError(KeepwellError):
    """The tenant has no such intervention, or it was too long ago."""


class EscalationNotFoundError(KeepwellError):
    """The tenant has no such escalation, or it was closed too long ago."""


class EscalationStateError(KeepwellError):
    """The escalation's state does not allow the change. Metadata: `state`, `acknowledged_by`."""


class SubscriptionNotFoundError(KeepwellError):
    """The tenant has no such subscription, or it was just deleted."""


class SubscriptionFilterMismatchError(KeepwellError):
    """The subscription was made with another filter."""


class SubscriptionQuotaError(KeepwellError):
    """The tenant has as many subscriptions as it may have."""


class ModelRefusedError(KeepwellError):
    """The uploaded artifact is not one that can score; nothing was registered."""


class ModelNotFoundError(KeepwellError):
    """The tenant has no such model."""


class ModelNotLoadedError(KeepwellError):
    """The model cannot be loaded; the one before goes on scoring. Metadata: `version`."""


class NoModelBeforeError(KeepwellError):
    """There is no model before the active one."""


class TooManyModelsError(KeepwellError):
    """The tenant keeps as many models as it may, and each was in use lately."""


class EtagMismatchError(KeepwellError):
    """The resource was changed after its etag was read. Metadata: `etag`, the one that it has now."""


class StateUnavailableError(KeepwellError):
    """The store cannot be reached; nothing was decided."""


class CommitUnknownError(KeepwellError):
    """The commit was not confirmed and may have happened; the same `request_id` tells."""


class ClockSkewError(KeepwellError):
    """The store's clock jumped; no limit can be trusted until an operator has looked."""


class OverloadedError(KeepwellError):
    """More work is waiting than will be done in time; nothing was done."""


class SlowReaderError(KeepwellError):
    """The stream was not read for too long."""


class NotServedError(KeepwellError):
    """The method belongs to the contract, and this version of the service does not serve it."""


# CANCELLED is a server that ended before the call did: a caller's own cancellation never becomes an error of ours.
_REASONS = {Code.UNAVAILABLE: "UNREACHABLE", Code.CANCELLED: "UNREACHABLE", Code.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED"}


def error_of(status: Status, request_id: str = "") -> KeepwellError:
    """Return a status as the exception of its reason; `KeepwellError` when this version knows no such reason."""
    reason = _detail(status, ErrorInfo()).reason
    if not reason:
        reason = _REASONS.get(status.code, "")
    return KeepwellError.kinds.get(reason, KeepwellError)(status, request_id)


def error_of_call(error: grpc.RpcError, request_id: str = "") -> KeepwellError:
    """Return what a failed call, of either kind of channel, says."""
    call = cast("grpc.Call", error)
    for name, value in call.trailing_metadata() or ():
        if name == STATUS and isinstance(value, bytes):
            return error_of(Status.FromString(value), request_id)
    return error_of(Status(code=call.code().value[0], message=call.details() or ""), request_id)


def _detail(status: Status, wanted: Detail) -> Detail:
    """Return the status's detail of that kind; an empty one when it has none."""
    for detail in status.details:
        if detail.Unpack(wanted):
            break
    return wanted
