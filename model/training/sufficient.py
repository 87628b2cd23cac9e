"""Is there enough to learn from, and nothing that knows the outcome: checked before anything is trained."""

import numpy as np

from model.features import NUMERIC
from model.metrics import auc
from model.training.dataset import Dataset
from model.training.errors import TrainingDataError
from model.training.snapshots import Snapshot, as_known, joined
from model.training.split import judged_origin

FEWEST_ROWS = 500  # to train on, at the earliest
FEWEST_OF_A_CLASS = 10  # in every part: fewer say nothing about a probability
LEAK_AUC = 0.99  # of one feature alone; no behaviour tells the future so well


def check(data: Dataset) -> None:
    """Raise TrainingDataError unless every part has enough leads of both outcomes, and no feature alone tells the outcome."""
    for test in data.tests:
        _check_known(data, test)
    for test in data.tests:
        _check_classes(data.snapshots[test], f"the snapshot of day {test}")
    _check_leaks(joined(list(data.snapshots.values())))


def _check_known(data: Dataset, test: int) -> None:
    """Check what a test day's model learns from, by the outcomes that had arrived by then."""
    origins = judged_origin(list(data.snapshots), data.gap_days, test)
    if origins is None:
        raise TrainingDataError("there is nothing before the first test day to learn from")
    now, before = origins
    train = as_known(joined([data.snapshots[day] for day in before.train]), test)
    if len(train.churned) < FEWEST_ROWS:
        raise TrainingDataError(f"{len(train.churned)} rows to train on, and at least {FEWEST_ROWS} are needed")
    _check_classes(train, "the rows to train on")
    for day in sorted({before.calibrate, now.calibrate}):
        _check_classes(as_known(data.snapshots[day], test), f"the snapshot of day {day}, as it was known on day {test}")


def _check_classes(part: Snapshot, name: str) -> None:
    churned, stayed = int(part.churned.sum()), int((~part.churned).sum())
    if min(churned, stayed) < FEWEST_OF_A_CLASS:
        raise TrainingDataError(
            f"{name}: {churned} churned and {stayed} stayed; at least {FEWEST_OF_A_CLASS} of each are needed"
        )


def _check_leaks(part: Snapshot) -> None:
    for place, feature in enumerate(NUMERIC):
        values = part.numeric[:, place]
        # An unknown value that tells the outcome leaks as well as a known one.
        for column in (np.nan_to_num(values, nan=-1e300), np.nan_to_num(values, nan=1e300)):
            alone = auc(column, part.churned)
            if max(alone, 1 - alone) >= LEAK_AUC:
                raise TrainingDataError(
                    f"{feature.name} alone tells the outcome (AUC {max(alone, 1 - alone):.3f}): it was written after it; "
                    "leave the column empty"
                )
