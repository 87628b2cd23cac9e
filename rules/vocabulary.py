"""The nouns that a decision is made of, as enumerations.

Their numbers are the contract's numbers (`keepwell.v1`), so converting at the edge is a cast; a contract test holds them equal.
"""

from enum import IntEnum
from typing import Final


class Stage(IntEnum):
    """How far a lead is on its way out; a higher number is a worse stage."""

    NONE = 1
    EARLY_WARNING = 2
    ACTIVE_RISK = 3
    CRITICAL_RISK = 4


# Looking a member up in its enumeration costs Python 3.11 ten times a name's: those that every decision asks for have one of their own.
NO_STAGE: Final = Stage.NONE
RISK_STAGES = (Stage.EARLY_WARNING, Stage.ACTIVE_RISK, Stage.CRITICAL_RISK)


class Channel(IntEnum):
    """The ways in which a lead can be contacted."""

    EMAIL = 1
    SMS = 2
    PHONE = 3
    PUSH = 4
    IN_APP = 5
    CRM_WORKFLOW = 6
    AGENT_ASSIGNMENT = 7


class Verdict(IntEnum):
    """What a decision comes to."""

    CONTACT = 1
    DEFER = 2
    SUPPRESS = 3
    NO_ACTION = 4
    HELD_OUT = 5


class ReasonCode(IntEnum):
    """Why an intervention or an escalation was withheld."""

    HELD_OUT = 1
    OPTED_OUT = 2
    NO_CONSENT = 3
    DO_NOT_CONTACT = 4
    QUIET_HOURS = 5
    LEGAL_HOURS = 6
    TIME_ZONE_UNKNOWN = 7
    LIMIT_CHANNEL = 8
    LIMIT_ANY_CHANNEL = 9
    LIMIT_PLAYBOOK = 10
    LIMIT_TENANT = 11
    ESCALATION_COOLDOWN = 12
    ESCALATION_SHARE = 13
    SNOOZED = 14
    LOWER_PRIORITY = 15
    STAGE_HYSTERESIS = 16
    NOT_ELIGIBLE = 17
    STALE_FEATURES = 18
    MODEL_UNAVAILABLE = 19
    RULE_ERROR = 20
    STATE_UNAVAILABLE = 21
    UPLIFT_NEGATIVE = 22
    CHANNEL_UNAVAILABLE = 23


class AssessmentSource(IntEnum):
    """Where a churn probability came from."""

    MODEL = 1
    CALLER = 2
    FALLBACK = 3


BY_CALLER: Final = AssessmentSource.CALLER


class Cause(IntEnum):
    """What triggered a decision."""

    REQUEST = 1
    EVENT = 2
    SCHEDULE = 3


class InterventionOutcome(IntEnum):
    """What became of an intervention."""

    PENDING = 1
    DELIVERED = 2
    ENGAGED = 3
    CONVERTED = 4
    FAILED = 5
    IGNORED = 6
    ESCALATED = 7
    OPTED_OUT = 8
    COMPLAINED = 9


class EscalationState(IntEnum):
    """Where an escalation stands; the last two are final."""

    OPEN = 1
    ACKNOWLEDGED = 2
    RESOLVED = 3
    EXPIRED = 4


class ConsentState(IntEnum):
    """What a lead has said about a channel; a lead that said nothing has no record."""

    GRANTED = 1
    WITHDRAWN = 2
