"""The policy document, `keepwell.policy/v1`: what a retention manager writes, as validated data.

These models are the only definition of the format: they validate, they export the JSON Schema that editors complete from,
and the compiler reads them. A length of time is written `90s`, `15m`, `24h` or `7d` and is held in milliseconds.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DURATION_PATTERN = r"^[0-9]{1,6}(s|m|h|d)$"
HOURS_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"


def duration_ms(text: object) -> int:
    """Return a written length of time in milliseconds; ValueError when it is not one."""
    if not isinstance(text, str) or not re.match(DURATION_PATTERN, text):
        raise ValueError("a length of time is a whole number and one of s, m, h, d, such as 24h")
    return int(text[:-1]) * UNIT_MS[text[-1]]


Duration = Annotated[int, BeforeValidator(duration_ms), WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN})]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
ChannelName = Literal["email", "sms", "phone", "push", "in_app", "crm_workflow", "agent_assignment"]
StageName = Literal["early_warning", "active_risk", "critical_risk"]
DayName = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WhenBlocked = Literal["defer", "suppress"]
LocalHours = Annotated[str, Field(pattern=HOURS_PATTERN)]
CountryCode = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Part(BaseModel):
    """A part of the document: closed (an unknown key is an error) and immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Threshold(Part):
    """The churn probability above which a stage begins; the bound itself belongs to the stage below."""

    above: float = Field(gt=0, lt=1)


class Stages(Part):
    """The three bands of risk."""

    early_warning: Threshold = Threshold(above=0.3)
    active_risk: Threshold = Threshold(above=0.6)
    critical_risk: Threshold = Threshold(above=0.8)


class Hysteresis(Part):
    """How long the risk must have been lower before the stage follows it down."""

    de_escalate_after: Duration = 0


class Intervention(Part):
    """One way to act: a playbook over a channel, and what it costs in the lead's currency."""

    channel: ChannelName
    playbook: Name
    cost: float = Field(default=0.0, ge=0)


class StageInterventions(Part):
    """Which interventions belong to which stage, best first."""

    early_warning: tuple[Intervention, ...] = ()
    active_risk: tuple[Intervention, ...] = ()
    critical_risk: tuple[Intervention, ...] = ()


class StageCounts(Part):
    """How many interventions one decision may grant in each stage."""

    early_warning: int = Field(default=1, ge=0, le=7)
    active_risk: int = Field(default=1, ge=0, le=7)
    critical_risk: int = Field(default=1, ge=0, le=7)


class Window(Part):
    """The stretch of time that a limit counts in: always written, because `per day` means five things."""

    rolling: Duration | None = Field(default=None, description="the last so long, half open: (now - length, now]")
    calendar: Literal["day", "week", "month"] | None = Field(default=None, description="weeks begin on Monday")
    time_zone: str | None = Field(default=None, description="lead, tenant, or an IANA name; calendars only")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.rolling is None) == (self.calendar is None):
            raise ValueError("a window is either rolling or calendar")
        if self.calendar is not None and self.time_zone is None:
            raise ValueError("a calendar window names its time_zone: lead, tenant, or an IANA name")
        if self.calendar is None and self.time_zone is not None:
            raise ValueError("a rolling window has no time_zone")
        if self.rolling == 0:
            raise ValueError("a rolling window is longer than zero")
        return self


class Limit(Part):
    """At most `max` granted contacts in a window; absent means no limit, 0 means never."""

    name: Name
    channel: ChannelName | Literal["any"] = "any"
    per: Literal["playbook"] | None = Field(default=None, description="count each playbook on its own")
    scope: Literal["lead", "tenant"] = "lead"
    max: int = Field(ge=0, le=1_000_000)
    window: Window
    when_blocked: WhenBlocked = "suppress"

    @model_validator(mode="after")
    def _tenant_limits_are_plain(self) -> Self:
        if self.scope == "tenant" and (self.per is not None or self.window.time_zone == "lead"):
            raise ValueError("a limit of scope tenant has no `per` and no window in the lead's time zone")
        return self


class QuietHours(Part):
    """Local hours in which channels stay silent; a window that crosses midnight belongs to the day it begins on."""

    channels: tuple[ChannelName, ...] = Field(min_length=1)
    local: LocalHours
    days: tuple[DayName, ...] | None = Field(default=None, min_length=1, description="absent: every day")
    when_blocked: WhenBlocked = "suppress"


class LegalHours(Part):
    """Local hours in which channels are lawful at all in some countries; a lead without a country counts as in them."""

    channels: tuple[ChannelName, ...] = Field(min_length=1)
    countries: tuple[CountryCode, ...] = Field(min_length=1)
    local: LocalHours
    when_blocked: WhenBlocked = "defer"


class EscalationCondition(Part):
    """When to hand over to a person: in this stage."""

    stage: StageName


class EscalationStep(Part):
    """Who is next when nobody acknowledges."""

    target: Name


class EscalationPlan(Part):
    """When a manager is called in, how rarely, and what follows when nobody answers."""

    when: EscalationCondition
    target: Name
    cooldown: Duration
    max_share: float = Field(default=1.0, gt=0, le=1, description="of the tenant's leads decided per day")
    acknowledge_within: Duration = 3_600_000
    then: EscalationStep | None = None


class Holdout(Part):
    """The control group: never contacted, so that the effect of contacting can be measured."""

    percent: float = Field(default=0.0, ge=0, le=50)
    unit: Literal["lead"] = "lead"


class Review(Part):
    """How soon a lead is looked at again without being asked about, by stage."""

    early_warning: Duration = 86_400_000
    active_risk: Duration = 21_600_000
    critical_risk: Duration = 3_600_000
    none: Duration = 604_800_000


class Condition(Part):
    """One comparison of a published fact with a constant; exactly one operator."""

    fact: str = Field(min_length=1, max_length=64)
    eq: bool | float | str | None = None
    neq: bool | float | str | None = None
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    at_least: StageName | None = None
    at_most: StageName | Literal["none"] | None = None

    @property
    def operator(self) -> str:
        """The one operator that is set."""
        return next(iter(self.model_fields_set - {"fact"}))

    @property
    def constant(self) -> Any:
        """What the fact is compared with."""
        return getattr(self, self.operator)

    @model_validator(mode="after")
    def _one_operator(self) -> Self:
        if len(self.model_fields_set - {"fact"}) != 1:
            raise ValueError("a condition has exactly one of eq, neq, gt, gte, lt, lte, at_least, at_most")
        return self


class When(Part):
    """All of some conditions, or any of them."""

    all: tuple[Condition, ...] | None = Field(default=None, min_length=1, max_length=8)
    any: tuple[Condition, ...] | None = Field(default=None, min_length=1, max_length=8)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.all is None) == (self.any is None):
            raise ValueError("`when` has either `all` or `any`")
        return self


class SuppressedChannels(Part):
    """The channels that a rule silences."""

    channels: tuple[ChannelName, ...] = Field(min_length=1)


class Then(Part):
    """What a rule does: grant one more intervention, or silence channels."""

    grant: Intervention | None = None
    suppress: SuppressedChannels | None = None
    reason: Literal["not_eligible", "do_not_contact", "uplift_negative", "channel_unavailable"] = "not_eligible"

    @model_validator(mode="after")
    def _one_action(self) -> Self:
        if (self.grant is None) == (self.suppress is None):
            raise ValueError("`then` has either `grant` or `suppress`")
        return self


class CustomRule(Part):
    """A rule of the tenant's own, over the published facts."""

    name: Name
    when: When
    then: Then


class PolicyDocument(Part):
    """A whole policy."""

    schema_: Literal["keepwell.policy/v1"] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    description: str = Field(default="", max_length=2_000)
    stages: Stages = Stages()
    hysteresis: Hysteresis = Hysteresis()
    interventions: StageInterventions
    max_interventions: StageCounts = StageCounts()
    limits: tuple[Limit, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    legal_hours: tuple[LegalHours, ...] = ()
    unknown_time_zone: Literal["deny", "tenant", "strictest"] = "deny"
    consent: dict[ChannelName, Literal["required", "opt_out"]] = {}
    escalation: EscalationPlan | None = None
    holdout: Holdout = Holdout()
    review: Review = Review()
    rules: tuple[CustomRule, ...] = ()
