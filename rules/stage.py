"""Which stage a lead is in: up at once, down only after the policy's hysteresis."""

from msgspec import Struct

from rules.answer import Answer
from rules.document import Stages
from rules.lead import LeadState
from rules.vocabulary import RISK_STAGES, Stage


class StageFinding(Struct, frozen=True):
    """The stage that counts, the one the probability alone would give, and since when the risk has been lower."""

    stage: Stage
    raw: Stage
    below_since: int | None

    @property
    def held(self) -> bool:
        """Whether hysteresis keeps the lead in a stage that its risk has left."""
        return self.raw < self.stage


def stage_of(stages: Stages, churn_probability: float) -> Stage:
    """Return the stage that a probability alone gives, without a lead's past."""
    bands = (stages.early_warning, stages.active_risk, stages.critical_risk)
    return max(
        (stage for stage, band in zip(RISK_STAGES, bands, strict=True) if churn_probability > band.above),
        default=Stage.NONE,
    )


def find_stage(state: LeadState, answer: Answer, now: int) -> StageFinding:
    """Return the stage that the rules say."""
    below_since = None
    if answer.raw < answer.stage:
        below_since = now if state.below_stage_since is None else state.below_stage_since
    return StageFinding(answer.stage, answer.raw, below_since)


def stage_since(state: LeadState, finding: StageFinding, now: int) -> int:
    """Return since when the lead is in the stage as found."""
    return state.stage_since if finding.stage is state.stage and state.last_decided_at else now
