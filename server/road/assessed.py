"""What is assessed, by what, and what comes of it: the values that scoring takes and gives. Plain classes, which can be compiled."""

from dataclasses import dataclass
from typing import Final

from model.explanation import Explanation
from model.fallback import FallbackScorer
from model.scorer import Scorer
from model.survival.estimate import PackedEstimate
from rules.decision import Assessment
from rules.vocabulary import AssessmentSource
from server.road.job import DecideInput, LeadRecord
from server.road.sample import Behaviour, Sample


@dataclass(frozen=True)
class Model:
    """What scores at the moment: the trained model, or the fallback and why."""

    scorer: Scorer | FallbackScorer
    fault: str = ""
    sample: Sample | None = None  # of what it scored, for drift

    @property
    def source(self) -> AssessmentSource:
        """What its probabilities count as."""
        return AssessmentSource.FALLBACK if self.fault else AssessmentSource.MODEL


class Subject:
    """A lead to assess, and what its request adds to what is known of it."""

    __slots__ = ("record", "request")

    def __init__(self, record: LeadRecord, request: DecideInput) -> None:
        self.record: Final = record
        self.request: Final = request


class Assessed:
    """An assessment, what callers have told of the lead's features by now, and what no rule looks at: when the lead will leave, and why."""

    __slots__ = ("assessment", "explanation", "given", "reused", "seen", "time_to_churn")

    def __init__(
        self,
        assessment: Assessment,
        given: Behaviour,
        time_to_churn: PackedEstimate,
        explanation: Explanation | None = None,
        reused: bool = False,
        seen: Behaviour | None = None,
    ) -> None:
        self.assessment: Final = assessment
        self.given: Final = given
        self.time_to_churn: Final = time_to_churn
        self.explanation: Final = explanation  # when it was asked for
        self.reused: Final = reused  # whether the assessment is the last one
        self.seen: Final = seen  # what the model scored


@dataclass(frozen=True)
class Reuse:
    """Which assessments may be used again: those of the model in use, for so long."""

    model_version: str
    within_ms: int


NO_REUSE = Reuse("", 0)
