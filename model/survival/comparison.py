"""Whether the hazard model knows anything: beside Kaplan-Meier, Cox and recency alone, on later leads that no model has seen."""

from typing import Any, NamedTuple

import numpy as np

from model.features import FloatArray, number_place
from model.survival.cohort import Cohort
from model.survival.cox import fit_cox
from model.survival.curves import EARLY, EDGES, HORIZON_DAYS, LATE, MEDIAN, days_until, mean_days
from model.survival.kaplan_meier import kaplan_meier
from model.survival.scores import brier_at, concordance, concordance_lead, gain, integrated_errors, ipcw_concordance

RECENCY = number_place("days_since_last_activity")
BRIER_DAY = 60
RANKING = {"cox": "Cox", "recency": "recency alone"}  # the simpler models that rank leads
LEAST_LEADS = 100  # watched so long, for a figure about them to mean something


class Prediction(NamedTuple):
    """One model's word on the leads: `expected` ranks them (more is later), `stays` are curves over EDGES; empty where it has none."""

    expected: FloatArray = np.empty(0)
    stays: FloatArray = np.empty((0, 0))


def compare(train: Cohort, test: Cohort, stays: FloatArray, seed: int) -> dict[str, Any]:
    """Return the figures of the hazard model's curves for the test leads, (n, PERIODS), beside those of the simpler models.

    The seed draws the leads of the intervals.

    Raises:
        ValueError: Fewer than LEAST_LEADS test leads were watched for BRIER_DAY days.

    """
    cox = fit_cox(train.inputs, train.durations)
    everybody = kaplan_meier(train.durations.days, train.durations.observed).at(EDGES)
    predictions = {
        "hazard": Prediction(mean_days(stays), stays),
        "cox": Prediction(-cox.risk(test.inputs), cox.stays(test.inputs, EDGES)),
        "kaplan_meier": Prediction(stays=np.tile(everybody, (len(test.leads), 1))),
        "recency": Prediction(-test.inputs[:, RECENCY]),
    }
    measured = int(np.count_nonzero([(test.durations.known_days > day).sum() >= LEAST_LEADS for day in EDGES]))
    if measured * (EDGES[1] - EDGES[0]) <= BRIER_DAY:
        raise ValueError(f"fewer than {LEAST_LEADS} test leads were watched for {BRIER_DAY} days")
    return {
        "train_leads": len(train.leads),
        "test_leads": len(test.leads),
        "test_left": round(float(test.durations.observed.mean()), 4),
        "measured_days": int(EDGES[measured - 1]),
        "gain_over_kaplan_meier": _gain(predictions, test, measured),
        "concordance_lead": {
            name: concordance_lead(
                predictions["hazard"].expected, predictions[name].expected, test.durations, test.leads, seed
            )
            for name in RANKING
        },
        "models": {name: _figures(found, test, measured) for name, found in predictions.items()},
        "band_coverage": _coverage(stays, test),
        "median_known": round(float((1 - stays[:, -1] >= MEDIAN).mean()), 4),
    }


def _figures(found: Prediction, test: Cohort, measured: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    days, durations = EDGES[:measured], test.durations
    if found.expected.size:
        figures["concordance"] = concordance(found.expected, durations)
        figures["ipcw_concordance"] = ipcw_concordance(found.expected, durations, float(days[-1]))
    if found.stays.size:
        figures["integrated_brier"] = float(integrated_errors(found.stays[:, :measured], durations, days).mean())
        figures["brier_60"] = brier_at(found.stays[:, int(BRIER_DAY // EDGES[1])], durations, BRIER_DAY)
    return {name: round(figure, 4) for name, figure in figures.items()}


def _gain(predictions: dict[str, Prediction], test: Cohort, measured: int) -> list[float]:
    """Return how much lower the integrated Brier score is than without looking at the leads, with its 95 % interval."""
    hazard, everybody = (
        integrated_errors(predictions[name].stays[:, :measured], test.durations, EDGES[:measured])
        for name in ("hazard", "kaplan_meier")
    )
    return [round(figure, 4) for figure in gain(hazard, everybody, test.leads)]


def _coverage(stays: FloatArray, test: Cohort) -> float | None:
    """Return how many of the leads that were watched to the horizon left inside their 10-90 % band; None when there are too few."""
    watched = np.flatnonzero(test.durations.known_days >= HORIZON_DAYS)
    if len(watched) < LEAST_LEADS:
        return None
    left = 1 - stays[watched]
    early, late = days_until(left.T, (EARLY, LATE))
    left_after = np.where(test.durations.observed[watched], test.durations.days[watched], np.inf)
    days = np.minimum(left_after, HORIZON_DAYS + 1)  # beyond the horizon is beyond the band's open end
    return round(float(((np.minimum(early, HORIZON_DAYS) <= days) & (days <= late)).mean()), 4)


def why_no_estimate(figures: dict[str, Any]) -> str:
    """Return why the hazard model must not be used, from the figures of `compare`; "" when it may be.

    Its Brier score must be lower than Kaplan-Meier's beyond chance: of models that know nothing, half would be lower by chance. It must
    rank leads better than Cox and recency do, be it by chance: those never serve, so where they are as good nothing is lost, and the card
    says by how much it leads and how sure that is.
    """
    mean, low, high = figures["gain_over_kaplan_meier"]
    if low <= 0:
        return f"no better than Kaplan-Meier on held-out leads: integrated Brier score lower by {mean} [{low}, {high}]"
    hazard = figures["models"]["hazard"]["concordance"]
    for name, shown in RANKING.items():
        other = figures["models"][name]["concordance"]
        if hazard <= other:
            return f"no better than {shown} on held-out leads: concordance {hazard} against {other}"
    return ""
