"""Every error as the caller sees it: exception → status code → reason. The only place where a status is chosen.

An exception that is not in the table is ours: the caller learns INTERNAL and a correlation id, the log has the rest.
"""

from typing import NamedTuple

from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from grpc import StatusCode

from rules.escalating import EscalationStateError
from server import errors
from server.status_size import MESSAGE_BYTES, shortened, summary, told

DOMAIN = "keepwell"
METADATA_BYTES = 1_024  # a token, which nobody may cut, has a few hundred
LOGGED_BYTES = 512


class Row(NamedTuple):
    """How one exception is answered; `retry_ms` says that, and after how long, a retry may help."""

    code: StatusCode
    reason: str
    retry_ms: int | None = None


TABLE: dict[type[Exception], Row] = {
    errors.InvalidFieldsError: Row(StatusCode.INVALID_ARGUMENT, "INVALID_FIELD"),
    errors.MalformedRequestError: Row(StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST"),
    errors.TenantInvalidError: Row(StatusCode.INVALID_ARGUMENT, "TENANT_INVALID"),
    errors.PageTokenInvalidError: Row(StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID"),
    errors.ResumeTokenInvalidError: Row(StatusCode.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID"),
    errors.ResumeTokenExpiredError: Row(StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"),
    errors.IdempotencyMismatchError: Row(StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_MISMATCH"),
    errors.ManualClockOffError: Row(StatusCode.FAILED_PRECONDITION, "MANUAL_CLOCK_OFF"),
    EscalationStateError: Row(StatusCode.FAILED_PRECONDITION, "ESCALATION_STATE"),
    errors.ReplayUnavailableError: Row(StatusCode.FAILED_PRECONDITION, "REPLAY_UNAVAILABLE"),
    errors.DecisionNotFoundError: Row(StatusCode.NOT_FOUND, "DECISION_NOT_FOUND"),
    errors.InterventionNotFoundError: Row(StatusCode.NOT_FOUND, "INTERVENTION_NOT_FOUND"),
    errors.EscalationNotFoundError: Row(StatusCode.NOT_FOUND, "ESCALATION_NOT_FOUND"),
    errors.LeadNotFoundError: Row(StatusCode.NOT_FOUND, "LEAD_NOT_FOUND"),
    errors.StateUnavailableError: Row(StatusCode.UNAVAILABLE, "STATE_UNAVAILABLE", retry_ms=500),
    errors.CommitUnknownError: Row(StatusCode.UNAVAILABLE, "COMMIT_UNKNOWN", retry_ms=500),
    errors.ClockSkewError: Row(StatusCode.UNAVAILABLE, "CLOCK_SKEW", retry_ms=5_000),
    errors.OverloadedError: Row(StatusCode.UNAVAILABLE, "OVERLOADED", retry_ms=100),
    errors.SlowReaderError: Row(StatusCode.RESOURCE_EXHAUSTED, "SLOW_READER"),
    errors.ConsumerStalledError: Row(StatusCode.RESOURCE_EXHAUSTED, "SLOW_READER"),
    errors.SubscriptionNotFoundError: Row(StatusCode.NOT_FOUND, "SUBSCRIPTION_NOT_FOUND"),
    errors.SubscriptionFilterMismatchError: Row(StatusCode.FAILED_PRECONDITION, "SUBSCRIPTION_FILTER_MISMATCH"),
    errors.SubscriptionQuotaError: Row(StatusCode.RESOURCE_EXHAUSTED, "SUBSCRIPTION_QUOTA"),
    errors.ModelRefusedError: Row(StatusCode.INVALID_ARGUMENT, "MODEL_REFUSED"),
    errors.ModelNotFoundError: Row(StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
    errors.ModelNotLoadedError: Row(StatusCode.FAILED_PRECONDITION, "MODEL_NOT_LOADED"),
    errors.NoModelBeforeError: Row(StatusCode.FAILED_PRECONDITION, "NO_MODEL_BEFORE"),
    errors.TooManyModelsError: Row(StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_MODELS"),
    # AIP-154: an etag that does not match is ABORTED.
    errors.EtagMismatchError: Row(StatusCode.ABORTED, "ETAG_MISMATCH"),
    errors.NotServedError: Row(StatusCode.UNIMPLEMENTED, "NOT_SERVED"),
}


def _metadata(error: Exception) -> dict[str, str]:
    return {name: shortened(value, METADATA_BYTES) for name, value in vars(error).items() if isinstance(value, str)}


def _detail(message: ErrorInfo | BadRequest | QuotaFailure | RetryInfo) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def known(error: BaseException) -> bool:
    """Return whether the error is one that a caller is told about."""
    return type(error) in TABLE


def reason_of(error: Exception) -> str:
    """Return the reason of an error in the table."""
    return TABLE[type(error)].reason


def logged(error: Exception) -> str:
    """Return what our own log says of an error in the table: of bad fields the first one's path, but no key or value that a caller chose."""
    if not isinstance(error, errors.InvalidFieldsError):
        return shortened(str(error), LOGGED_BYTES)
    path, key, _ = error.violations[0].field.partition('["')
    more = f"; and {len(error.violations) - 1} more" if len(error.violations) > 1 else ""
    return shortened(path + "[*]" * bool(key), LOGGED_BYTES) + more


def status_of(error: Exception) -> Status:
    """Return the `google.rpc.Status` of an error in the table, with its details; of many bad fields the first, and how many more there are."""
    row = TABLE[type(error)]
    message = shortened(str(error) or (type(error).__doc__ or ""), MESSAGE_BYTES)
    info = ErrorInfo(reason=row.reason, domain=DOMAIN, metadata=_metadata(error))
    bad = None
    if isinstance(error, errors.InvalidFieldsError):
        message, bad = summary(error.violations), told(error.violations)
        if left_out := len(error.violations) - len(bad.field_violations):
            info.metadata["fields_left_out"] = str(left_out)
    details = [_detail(info)]
    if bad is not None:
        details.append(_detail(bad))
    if isinstance(error, errors.SubscriptionQuotaError):
        quota = QuotaFailure.Violation(subject="subscriptions", description=str(error))
        details.append(_detail(QuotaFailure(violations=[quota])))
    if row.retry_ms is not None:
        delay = Duration()
        delay.FromMilliseconds(row.retry_ms)
        details.append(_detail(RetryInfo(retry_delay=delay)))
    return Status(code=row.code.value[0], message=message, details=details)


def pushback(error: Exception) -> tuple[tuple[str, str], ...]:
    """Return the metadata by which gRPC's own retries, in any language, wait for as long as RetryInfo says; empty when a retry is no use."""
    row = TABLE.get(type(error))
    return (("grpc-retry-pushback-ms", str(row.retry_ms)),) if row and row.retry_ms is not None else ()


def internal_status(correlation_id: str) -> Status:
    """Return what a caller learns of a fault of ours: nothing but where to find it in our log."""
    return Status(code=StatusCode.INTERNAL.value[0], message=f"internal error, correlation id {correlation_id}")
