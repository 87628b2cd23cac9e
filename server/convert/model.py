"""Models and scores as the contract says them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from keepwell.v1 import decision_pb2
from keepwell.v1 import model_service_pb2 as messages

from model.features import LARGEST, NUMERIC
from rules.vocabulary import Stage
from server.convert.assessment import time_to_churn_fields
from server.convert.checks import Checker, timestamp_of, wire
from server.convert.request import given_features
from server.errors import FieldViolation, InvalidFieldsError
from server.road.assessed import Assessed, Subject
from server.road.job import DecideInput, LeadRecord

SCORE_FEATURES = 1_024
DEEPEST = 4  # levels of metrics by name


class ModelView(NamedTuple):
    """What is known of a model: its manifest ({} when it is damaged), and its part in the tenant's scoring."""

    version: str
    etag: str
    manifest: Mapping[str, Any]
    active: bool
    shipped: bool
    came_at: int | None = None
    problem: str = ""


class DriftReport(NamedTuple):
    """The population stability index by name, the score's among them, over the leads counted from `since` to `computed_at`."""

    computed_at: int
    since: int
    leads: int
    psi: Mapping[str, float]


def subjects_of(features: Sequence[decision_pb2.Features]) -> list[Subject]:
    """Return whom the model is to score: leads of whom nothing else is known.

    Raises:
        InvalidFieldsError: Every bad field, with what is allowed.

    """
    if not 1 <= len(features) <= SCORE_FEATURES:
        raise InvalidFieldsError(FieldViolation("features", f"must be 1 to {SCORE_FEATURES}"))
    check = Checker()
    subjects = []
    for place, given in enumerate(features):
        numbers, categories, as_of = given_features(check, f"features[{place}]", given)
        subjects.append(Subject(LeadRecord(), DecideInput("", "", b"", numbers, categories, as_of)))
    check.raise_if_any()
    return subjects


def assessment_message(assessed: Assessed, stage: Stage) -> decision_pb2.ChurnRiskAssessment:
    """Return a score without a decision."""
    assessment = assessed.assessment
    return decision_pb2.ChurnRiskAssessment(
        churn_probability=assessment.churn_probability,
        stage=wire(stage),
        model_version=assessment.model_version,
        source=wire(assessment.source),
        degraded_reason=assessment.degraded_reason,
        assessed_at=timestamp_of(assessment.assessed_at),
        **time_to_churn_fields(assessed.time_to_churn),
    )


def model_message(view: ModelView) -> messages.Model:
    """Return a model as a list shows it."""
    calibration = view.manifest.get("calibration", {})
    return messages.Model(
        version=view.version,
        etag=view.etag,
        active=view.active,
        shipped=view.shipped,
        create_time=None if view.came_at is None else timestamp_of(view.came_at),
        metrics=dict(_numbers(view.manifest.get("metrics", {}))),
        calibration=messages.Calibration(
            method=str(calibration.get("method", "")), parameters=dict(_numbers(calibration))
        ),
        feature_schema=str(view.manifest.get("feature_schema", "")),
        features=[feature.name for feature in NUMERIC] if view.manifest else (),
        load_error=view.problem,
    )


def drift_message(report: DriftReport) -> messages.Drift:
    """Return how far the scored leads have moved."""
    if not report.psi:
        reason = f"too few leads scored today and yesterday: {report.leads}"
        return messages.Drift(leads=report.leads, unavailable_reason=reason)
    psi = dict(report.psi)
    return messages.Drift(
        compute_time=timestamp_of(report.computed_at),
        start_time=timestamp_of(report.since),
        leads=report.leads,
        score_psi=psi.pop("score", 0.0),
        feature_psi=psi,
    )


def _numbers(tree: object, path: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, float]]:
    """Yield every number of nested mappings, by its names joined by dots; what is no number is left out."""
    for name, value in tree.items() if isinstance(tree, Mapping) and depth else ():
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
            yield f"{path}{name}", float(value)
        yield from _numbers(value, f"{path}{name}.", depth - 1)
