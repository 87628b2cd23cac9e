"""How long a silence means that a lead is gone: the return curve, and the silence length that follows from it."""

from typing import NamedTuple

import numpy as np

from model.snapshot import ACTIVE
from model.training.errors import TrainingDataError
from model.training.history import History, Ints

MOST_RETURN = 0.25  # of the leads silent for so long: thirty silent days alone are not churn (59 % of retail customers return within 90)
FEWEST_SILENCES = 100
LONGEST_SILENCE_DAYS = 365


class ReturnCurve(NamedTuple):
    """P(return within the horizon | silent for d days) for d = 1, 2, …, and of how many silences each is known."""

    horizon_days: int
    returned: list[float]
    silences: list[int]

    def silence_days(self) -> int:
        """Return the smallest silence after which at most a quarter returns within the horizon.

        Raises:
            TrainingDataError: The log knows of no such silence, so it has to be given.

        """
        for days, share in enumerate(self.returned, 1):
            if share <= MOST_RETURN:
                return days
        known = len(self.returned)
        raise TrainingDataError(
            f"more than {MOST_RETURN:.0%} of the leads return after every silence that the log can judge "
            f"(up to {known} days); say --silence-days"
        )


def return_curve(history: History, horizon_days: int, until: int) -> ReturnCurve:
    """Return the curve from what was known by a day; a silence counts only where the whole horizon after it is known by then."""
    start, gap = _gaps(history, until)
    returned, silences = [], []
    for days in range(1, LONGEST_SILENCE_DAYS + 1):
        silent = (gap > days) & (start + days + horizon_days <= until)
        if silent.sum() < FEWEST_SILENCES:
            break
        silences.append(int(silent.sum()))
        returned.append(float((gap[silent] <= days + horizon_days).mean()))
    return ReturnCurve(horizon_days, returned, silences)


def _gaps(history: History, until: int) -> tuple[Ints, Ints]:
    """Return the first day of each silence and its length; one that goes on is longer than anything."""
    counted = (history.counts[:, ACTIVE] > 0) & (history.day <= until) & (history.arrived <= until)
    pairs = np.unique(np.stack([history.lead[counted], history.day[counted]], axis=1), axis=0)
    lead, day = pairs.T
    gap = np.full(len(day), np.iinfo(np.int64).max)
    same = lead[1:] == lead[:-1]
    gap[:-1][same] = (day[1:] - day[:-1])[same]
    return day, gap
