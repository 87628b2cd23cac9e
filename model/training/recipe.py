"""Choosing how to train, on outcomes that none of the candidates could know.

A candidate is whether the trees are fitted again with the newest matured snapshot, and which calibration is laid over them. A calibration is
always fitted on log-odds of trees that had not seen those leads. The candidates compete one horizon earlier, on the newest matured snapshot.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from model.calibration import Calibration
from model.features import FloatArray
from model.metrics import brier
from model.training.calibrate import calibrations
from model.training.fit import Fitted, Settings, fit, fit_until_worse
from model.training.snapshots import Snapshot, joined
from model.training.split import Origin

Snapshots = Mapping[int, Snapshot]
MARGIN = 1e-4  # of the Brier score, which a calibration or a second fit has to gain to be worth having


class Recipe(NamedTuple):
    """How to train at any origin."""

    trees: int
    refit: bool
    calibration: str

    def __str__(self) -> str:
        """Return it in words."""
        again = (
            "fitted again with the newest matured snapshot" if self.refit else "fitted up to the calibration snapshot"
        )
        return f"{again}, calibration {self.calibration}"


class Trained(NamedTuple):
    """A model that can score leads, the days of the snapshots that it has learned from, and how it came about."""

    fitted: Fitted
    calibration: Calibration
    days: list[int]
    recipe: Recipe
    briers: dict[str, float]  # of every candidate, on the judge's leads

    def score(self, part: Snapshot) -> FloatArray:
        """Return leads' churn probabilities."""
        return self.calibration.apply(self.fitted.raw(part))


def trained_at(now: Origin, before: Origin, snapshots: Snapshots, settings: Settings) -> Trained:
    """Return the model that would have been made at an origin; `before` is the split at its judge's day."""
    fits: dict[tuple[int, ...], Fitted] = {}
    recipe, briers = _choose(before, snapshots, now.calibrate, settings, fits)
    days = now.matured if recipe.refit else now.train
    calibration = Calibration()
    if recipe.calibration != "none":
        first = _fitted(now.train, snapshots, recipe.trees, settings, fits)
        found = calibrations(first.raw(snapshots[now.calibrate]), snapshots[now.calibrate].churned)
        calibration = found.get(recipe.calibration, found["platt"])  # there may be too few leads for isotonic now
    return Trained(_fitted(days, snapshots, recipe.trees, settings, fits), calibration, days, recipe, briers)


def _choose(
    before: Origin, snapshots: Snapshots, judge: int, settings: Settings, fits: dict[tuple[int, ...], Fitted]
) -> tuple[Recipe, dict[str, float]]:
    """Return the candidate that does best on the judge's leads, the simplest one where others gain next to nothing.

    The number of trees is where the log loss on the calibration day is lowest.
    """
    calibrate, later = snapshots[before.calibrate], snapshots[judge]
    first = fit_until_worse(_of(snapshots, before.train), calibrate, settings)
    trees = int(first.model.tree_count_)
    again = _fitted(before.matured, snapshots, trees, settings, fits)
    raws = {False: first.raw(later), True: again.raw(later)}
    found = calibrations(first.raw(calibrate), calibrate.churned)
    briers = {
        Recipe(trees, refit, name): brier(calibration.apply(raw), later.churned)
        for refit, raw in raws.items()
        for name, calibration in found.items()
    }
    best = min(briers.values())
    recipe = next(recipe for recipe, value in briers.items() if value <= best + MARGIN)
    return recipe, {str(candidate): round(value, 5) for candidate, value in briers.items()}


def _fitted(
    days: Sequence[int], snapshots: Snapshots, trees: int, settings: Settings, fits: dict[tuple[int, ...], Fitted]
) -> Fitted:
    key = tuple(days)
    if key not in fits:  # what trained up to the judge's day often is what trains now
        fits[key] = fit(_of(snapshots, days), settings, trees)
    return fits[key]


def _of(snapshots: Snapshots, days: Sequence[int]) -> Snapshot:
    return joined([snapshots[day] for day in days])
