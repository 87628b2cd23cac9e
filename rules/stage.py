"""Which stage a lead is in: up at once, down only after the policy's hysteresis."""

from typing import NamedTuple

from rules.compiled import CompiledPolicy
from rules.lead import LeadState
from rules.vocabulary import RISK_STAGES, Stage


class StageFinding(NamedTuple):
    """The stage that counts, the one the probability alone would give, and since when the risk has been lower."""

    stage: Stage
    raw: Stage
    below_since: int | None

    @property
    def held(self) -> bool:
        """Whether hysteresis keeps the lead in a stage that its risk has left."""
        return self.raw < self.stage


def find_stage(policy: CompiledPolicy, state: LeadState, fired: frozenset[int], now: int) -> StageFinding:
    """Return the stage that the fired rules say."""
    says = [stage for rule, stage in policy.stages if rule in fired]
    # The first three are the bands themselves, the others keep a lead in one.
    raw = max((stage for rule, stage in policy.stages[: len(RISK_STAGES)] if rule in fired), default=Stage.NONE)
    stage = max(says, default=Stage.NONE)
    below_since = None
    if raw < stage:
        below_since = now if state.below_stage_since is None else state.below_stage_since
    return StageFinding(stage, raw, below_since)


def after_stage(state: LeadState, finding: StageFinding, now: int) -> LeadState:
    """Return the state with its stage as found."""
    since = state.stage_since if finding.stage is state.stage and state.last_decided_at else now
    return state._replace(stage=finding.stage, stage_since=since, below_stage_since=finding.below_since)
