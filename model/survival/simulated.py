"""Cohorts from a simulated portfolio: trained on what was known by a cut, tested on other leads after it."""

from collections.abc import Callable

from model.features import FloatArray
from model.simulator import Portfolio, simulate
from model.snapshot import ACTIVE, SILENCE_DAYS, Snapshot, snapshot
from model.survival.cohort import Cohort, days_until_silence, joined, part_of

WORLDS = 2  # one after the other, for memory; with fewer leads Cox ranks as well as the trees do
DAYS, CUT_DAY = 780, 400
TRAIN_DAYS, TEST_DAYS = range(60, 341, 20), range(410, 541, 40)
HELD_OUT = 4  # every fourth lead is in no training snapshot
Encode = Callable[[Snapshot], FloatArray]


def _cohort(portfolio: Portfolio, day: int, last_known_day: int, encode: Encode) -> Cohort:
    """Return the leads that can be asked about on a day, and when each was found to have left by a later one."""
    part = snapshot(portfolio, day)
    active = portfolio.days[part.leads, : last_known_day + 1, ACTIVE] > 0
    return Cohort(encode(part), days_until_silence(active, day, SILENCE_DAYS), part.leads)


def simulated_cohorts(leads: int, seed: int, encode: Encode) -> tuple[Cohort, Cohort]:
    """Return training and test leads of WORLDS worlds with so many leads each; none stands in both."""
    worlds = [_of_one_world(leads, seed + 1 + world, encode) for world in range(WORLDS)]
    train, test = ([_numbered(parts[which], leads * world) for world, parts in enumerate(worlds)] for which in (0, 1))
    return joined(train), joined(test)


def _numbered(part: Cohort, first: int) -> Cohort:
    return part._replace(leads=part.leads + first)


def _of_one_world(leads: int, seed: int, encode: Encode) -> tuple[Cohort, Cohort]:
    portfolio = simulate(leads, DAYS, seed)
    known = joined([_cohort(portfolio, day, CUT_DAY, encode) for day in TRAIN_DAYS])
    later = joined([_cohort(portfolio, day, DAYS - 1, encode) for day in TEST_DAYS])
    return part_of(known, known.leads % HELD_OUT != 0), part_of(later, later.leads % HELD_OUT == 0)
