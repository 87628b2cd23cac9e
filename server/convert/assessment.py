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
from server.convert.pieces import BYTES, DOUBLE, VARINT, tag

PROBABILITY: Final = tag(ChurnRiskAssessment, "churn_probability", DOUBLE)
MEDIAN: Final = tag(ChurnRiskAssessment, "expected_days_to_churn", DOUBLE)
TIME: Final = tag(ChurnRiskAssessment, "time_to_churn", BYTES)
EARLY, LATE = (tag(TimeToChurn, name, DOUBLE) for name in ("early_days", "late_days"))
WITHIN: Final = tuple(tag(TimeToChurn, f"probability_{days}_days", DOUBLE) for days in (7, 30, 90))
REASON: Final = tag(ChurnRiskAssessment, "no_estimate_reason", VARINT)
WITHOUT_TIME: Final = Layout("<BdBB")
# By how many of a lead's three times lie before the horizon; they ascend: early, median, late.
BAND_FIELDS: Final = (0, 1, 1, 2)
LAYOUTS: Final = tuple(
    Layout("<Bd" + "Bd" * (known > 1) + "BB" + "Bd" * (band + len(WITHIN)) + "BB" * (known <= 1))
    for known, band in enumerate(BAND_FIELDS)
)
LENGTHS: Final = tuple(Layout("<" + "Bd" * (band + len(WITHIN))).size for band in BAND_FIELDS)


def own_assessment(probability: float, estimate: PackedEstimate, why: Explanation | None) -> bytes:
    """Return the bytes of those fields of a ChurnRiskAssessment that no two leads share."""
    if why is None and probability:
        if isinstance(estimate, bytes):
            times = PACKED.unpack(estimate)
            if times[3]:  # the smallest probability: proto3 leaves a zero out
                return _laid_out(probability, *times)
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
    known = (early != BEYOND) + (median != BEYOND) + (late != BEYOND)
    middle = (MEDIAN, median / 10) if known > 1 else ()
    band = (EARLY, early / 10, LATE, late / 10)[: 2 * BAND_FIELDS[known]]
    within = (WITHIN[0], week / 10_000, WITHIN[1], month / 10_000, WITHIN[2], quarter / 10_000)
    reason = () if known > 1 else (REASON, NoEstimateReason.BEYOND_HORIZON)
    return LAYOUTS[known].pack(PROBABILITY, probability, *middle, TIME, LENGTHS[known], *band, *within, *reason)


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
