"""What of an assessment is laid out by hand, against what protobuf writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keepwell.v1.decision_pb2 import ChurnRiskAssessment, NoEstimateReason, TimeToChurn

from model.explanation import Explanation
from model.survival.estimate import BEYOND, PACKED
from server.convert.assessment import own_assessment

TENTHS = st.integers(0, 2_400) | st.just(BEYOND)
SHARES = st.integers(0, 10_000)


def days(tenths: int) -> float | None:
    return None if tenths == BEYOND else tenths / 10


@given(
    st.floats(0, 1),
    st.lists(TENTHS, min_size=3, max_size=3).map(sorted),
    st.lists(SHARES, min_size=3, max_size=3).map(sorted),
)
def test_an_assessment_has_the_bytes_that_protobuf_writes(
    probability: float, times: list[int], shares: list[int]
) -> None:
    (early, median, late), (week, month, quarter) = times, shares
    expected = ChurnRiskAssessment(
        churn_probability=probability,
        expected_days_to_churn=days(median),
        time_to_churn=TimeToChurn(
            early_days=days(early),
            late_days=days(late),
            probability_7_days=week / 10_000,
            probability_30_days=month / 10_000,
            probability_90_days=quarter / 10_000,
        ),
    )
    if median == BEYOND:
        expected.no_estimate_reason = NoEstimateReason.NO_ESTIMATE_REASON_BEYOND_HORIZON
    estimate = PACKED.pack(median, early, late, week, month, quarter)
    assert own_assessment(probability, estimate, None) == expected.SerializeToString(deterministic=True)


@pytest.mark.parametrize("reason", [0, *NoEstimateReason.values()[1:]])
def test_an_assessment_without_an_estimate_says_why(reason: int) -> None:
    data = own_assessment(0.25, reason, None)
    message = ChurnRiskAssessment.FromString(data)
    assert data == message.SerializeToString(deterministic=True)
    assert (message.churn_probability, message.no_estimate_reason) == (0.25, reason)
    assert not message.HasField("time_to_churn")


def test_a_laid_out_assessment_reads_as_the_numbers_that_went_in() -> None:
    read = ChurnRiskAssessment.FromString(own_assessment(0.75, PACKED.pack(305, 12, 2_000, 250, 5_001, 9_999), None))
    assert (read.churn_probability, read.expected_days_to_churn) == (0.75, 30.5)
    assert read.time_to_churn == TimeToChurn(
        early_days=1.2,
        late_days=200.0,
        probability_7_days=0.025,
        probability_30_days=0.5001,
        probability_90_days=0.9999,
    )


def test_factors_are_told_beside_the_time() -> None:
    read = ChurnRiskAssessment.FromString(
        own_assessment(0.75, PACKED.pack(305, 12, 2_000, 250, 5_001, 9_999), Explanation(-1.5, ()))
    )
    assert (read.base_log_odds, read.expected_days_to_churn) == (-1.5, 30.5)
