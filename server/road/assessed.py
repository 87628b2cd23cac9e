"""What is assessed, by what, and what comes of it: the values that scoring takes and gives."""

from msgspec import Struct

from model.explanation import Explanation
from model.fallback import FallbackScorer
from model.scorer import Scorer
from model.survival.estimate import PackedEstimate
from rules.decision import Assessment
from rules.vocabulary import AssessmentSource
from server.road.job import DecideInput, LeadRecord
from server.road.sample import Behaviour, Sample


class Model(Struct, frozen=True):
    """What scores at the moment: the trained model, or the fallback and why."""

    scorer: Scorer | FallbackScorer
    fault: str = ""
    sample: Sample | None = None  # of what it scored, for drift

    @property
    def source(self) -> AssessmentSource:
        """What its probabilities count as."""
        return AssessmentSource.FALLBACK if self.fault else AssessmentSource.MODEL


class Subject(Struct, frozen=True):
    """A lead to assess, and what its request adds to what is known of it."""

    record: LeadRecord
    request: DecideInput


class Assessed(Struct, frozen=True):
    """An assessment, what callers have told of the lead's features by now, and what no rule looks at: when the lead will leave, and why."""

    assessment: Assessment
    given: Behaviour
    time_to_churn: PackedEstimate
    explanation: Explanation | None = None  # when it was asked for
    reused: bool = False  # whether the assessment is the last one
    seen: Behaviour | None = None  # what the model scored


class Reuse(Struct, frozen=True):
    """Which assessments may be used again: those of the model in use, for so long."""

    model_version: str
    within_ms: int


NO_REUSE = Reuse("", 0)
