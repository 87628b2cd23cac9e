"""What can go wrong for a caller, as plain exceptions with data; `status.py` says what each looks like on the wire."""

from typing import NamedTuple


class FieldViolation(NamedTuple):
    """One bad field: its path in the request, and what is allowed there."""

    field: str
    description: str


class InvalidFieldsError(Exception):
    """The request has bad fields; nothing of it was done."""

    def __init__(self, *violations: FieldViolation) -> None:
        # Not which: an error's text may end up in a log, and paths hold keys that callers chose.
        super().__init__(f"bad fields: {len(violations)}")
        self.violations = violations


class MalformedRequestError(Exception):
    """The bytes are not the message that the method takes."""


class IdempotencyMismatchError(Exception):
    """The request's id was used before, for another request."""

    def __init__(self, name: str = "request_id") -> None:
        super().__init__(f"this {name} was used before with another body; use a new one for a new request")


class StateUnavailableError(Exception):
    """The store cannot be reached or refuses; nothing was decided."""


class CommitUnknownError(Exception):
    """The store did not answer a commit in time: it may have happened. The same request id tells."""


class ClockSkewError(Exception):
    """The store's clock jumped; no limit can be trusted until an operator has looked."""


class OverloadedError(Exception):
    """More work is waiting than will be done in time."""


class DecisionNotFoundError(Exception):
    """There is no such decision of this tenant in the log."""


class InterventionNotFoundError(Exception):
    """There is no such intervention of this tenant, or it was too long ago."""


class EscalationNotFoundError(Exception):
    """There is no such escalation of this tenant, or it was closed too long ago."""


class LeadNotFoundError(Exception):
    """There is no such lead of this tenant."""


class ReplayUnavailableError(Exception):
    """The policy or the model that a decision was made with is not at hand."""


class PageTokenInvalidError(Exception):
    """The page token was not issued by this call."""


class ResumeTokenInvalidError(Exception):
    """The token is damaged, or of another tenant or filter."""


class ResumeTokenExpiredError(Exception):
    """The log no longer holds what follows the token."""

    def __init__(self, earliest_token: str, earliest_at: str) -> None:
        super().__init__("decisions after this token were removed by retention; start at `earliest_token`")
        self.earliest_token = earliest_token
        self.earliest_at = earliest_at


class SlowReaderError(Exception):
    """The caller stopped reading its stream."""

    def __init__(self, last_token: str) -> None:
        super().__init__("the stream was not read for too long; resume with `last_token`")
        self.last_token = last_token


class SubscriptionNotFoundError(Exception):
    """The tenant has no such subscription."""

    def __init__(self, subscription: str) -> None:
        super().__init__("there is no subscription of this name")
        self.subscription = subscription


class SubscriptionFilterMismatchError(Exception):
    """The subscription was made with another filter."""

    def __init__(self, subscription: str) -> None:
        super().__init__("the subscription has another filter, which is fixed; delete it, or use another name")
        self.subscription = subscription


class SubscriptionQuotaError(Exception):
    """The tenant has as many subscriptions as it may have."""

    def __init__(self, subscription: str, most: int) -> None:
        super().__init__(f"the tenant has {most} subscriptions, which is the most; delete one")
        self.subscription = subscription


class ConsumerStalledError(Exception):
    """The caller stopped reading its deliveries."""

    def __init__(self) -> None:
        super().__init__(
            "the stream was not read for too long; what was not acknowledged comes again after its deadline"
        )


class NotServedError(Exception):
    """The method belongs to the contract but is not served yet."""

    def __init__(self, method: str) -> None:
        super().__init__(f"{method} is part of the contract and is not served by this version")
        self.method = method


class ManualClockOffError(Exception):
    """A call tried to set the time on a server that keeps the store's."""


class TenantInvalidError(Exception):
    """The tenant's name is not one."""


class EtagMismatchError(Exception):
    """The resource was changed after the caller read it."""

    def __init__(self, etag: str) -> None:
        super().__init__("another change came first; read again and decide whether yours still holds")
        self.etag = etag


class ModelRefusedError(Exception):
    """An uploaded artifact is not one that can score; nothing was registered."""

    def __init__(self, problem: str, file: str | None = None) -> None:
        super().__init__(problem)
        self.file = file


class ModelNotFoundError(Exception):
    """There is no such model of this tenant."""

    def __init__(self) -> None:
        super().__init__("the tenant has no model with this version")


class ModelNotLoadedError(Exception):
    """A model cannot be loaded; what scored before goes on scoring."""

    def __init__(self, version: str, problem: str) -> None:
        super().__init__(f"the model cannot be loaded, and nothing was changed: {problem}")
        self.version = version


class NoModelBeforeError(Exception):
    """There is no model to go back to: the one that scores is the one that the service came with."""


class TooManyModelsError(Exception):
    """The tenant keeps as many models as it may, and each may still be needed."""
