"""An assessment as the contract says it, and what of it is a lead's own as bytes.

Every decision has these bytes, so the usual ones (a known probability, no factors) are laid out by hand: one call instead of two messages.
They are the bytes that protobuf would write; what is unusual it writes itself.
"""

from struct import Struct as Layout
from typing import Any, Final

from keepwell.v1 import decision_pb2
from keepwell.v1.decision_pb2 import ChurnRiskAssessment, TimeToChurn

from model.explanation import Explanation
from model.survival.estimate import BEYOND, PACKED, REASONS, NoEstimateReason, PackedEstimate, unpacked
from server.convert.pieces import BYTES, DOUBLE, VARINT, embedded, tag

PROBABILITY: Final = tag(ChurnRiskAssessment, "churn_probability", DOUBLE)
MEDIAN: Final = tag(ChurnRiskAssessment, "expected_days_to_churn", DOUBLE)
TIME: Final = tag(ChurnRiskAssessment, "time_to_churn", BYTES)
EARLY: Final = tag(TimeToChurn, "early_days", DOUBLE)
LATE: Final = tag(TimeToChurn, "late_days", DOUBLE)
WEEK: Final = tag(TimeToChurn, "probability_7_days", DOUBLE)
MONTH: Final = tag(TimeToChurn, "probability_30_days", DOUBLE)
QUARTER: Final = tag(TimeToChurn, "probability_90_days", DOUBLE)
REASON: Final = tag(ChurnRiskAssessment, "no_estimate_reason", VARINT)
WITHOUT_TIME: Final = Layout("<BdBB")
FIELD: Final = 9  # bytes of a tag and a number
# Probability and median; tag and length of the time to churn; in it early and late days, and three probabilities.
WHOLE: Final = Layout("<BdBd" + "BB" + "BdBd" + "BdBdBd")
BAND_AT: Final = FIELD + FIELD + 2
BAND_END: Final = BAND_AT + FIELD + FIELD
BEYOND_HORIZON: Final = bytes((REASON, NoEstimateReason.BEYOND_HORIZON))


def own_assessment(probability: float, estimate: PackedEstimate, why: Explanation | None) -> bytes:
    """Return the bytes of those fields of a ChurnRiskAssessment that no two leads share."""
    if why is None and probability:
        if isinstance(estimate, bytes):
            times: tuple[int, int, int, int, int, int] = PACKED.unpack(estimate)
            median, early, late, week, month, quarter = times
            if week:  # the smallest probability: proto3 leaves a zero out
                return _laid_out(probability, median, early, late, week, month, quarter)
        elif estimate in REASONS:
            return WITHOUT_TIME.pack(PROBABILITY, probability, REASON, estimate)
    message = ChurnRiskAssessment(
        churn_probability=probability,
        factors=why and [decision_pb2.Factor(**factor._asdict()) for factor in why.factors],
        base_log_odds=why and why.base,
        **time_to_churn_fields(estimate),
    )
    return message.SerializeToString(deterministic=True)


def _laid_out(probability: float, median: int, early: int, late: int, week: int, month: int, quarter: int) -> bytes:
    """Return all fields that there can be, less what lies beyond the horizon: the times ascend, so those are the last."""
    whole = WHOLE.pack(
        PROBABILITY, probability, MEDIAN, median / 10, TIME, 5 * FIELD, EARLY, early / 10, LATE, late / 10,
        WEEK, week / 10_000, MONTH, month / 10_000, QUARTER, quarter / 10_000,
    )  # fmt: skip
    if late != BEYOND:
        return whole
    band = b"" if early == BEYOND else whole[BAND_AT : BAND_AT + FIELD]
    time = embedded(TIME >> 3, band + whole[BAND_END:])
    if median != BEYOND:
        return whole[: FIELD + FIELD] + time
    return whole[:FIELD] + time + BEYOND_HORIZON


def time_to_churn_fields(estimate: PackedEstimate) -> dict[str, Any]:
    """Return the fields of a ChurnRiskAssessment that say when the lead will leave, or why nobody knows."""
    time, reason = unpacked(estimate)
    if time is None:
        return {"no_estimate_reason": reason}
    message = decision_pb2.TimeToChurn(
        early_days=time.early_days,
        late_days=time.late_days,
        probability_7_days=time.within_7_days,
        probability_30_days=time.within_30_days,
        probability_90_days=time.within_90_days,
    )
    return {"expected_days_to_churn": time.median_days, "time_to_churn": message, "no_estimate_reason": reason}
