"""Features and labels at the end of a day: the definitions that the schema's names stand for, over daily counters."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.features import NUMERIC, FloatArray
from model.simulator import SEGMENTS, SOURCES, ZONES, Portfolio

ACTIVE, VIEWS, OPENS, CLICKS, INQUIRIES, AMOUNT = range(6)
SILENCE_DAYS = 42  # a lead silent for longer has most likely left already and is not asked about
HORIZON_DAYS = 30
YOUNGEST_DAYS = 7


class Snapshot(NamedTuple):
    """Leads on one day: features (n, k), categories, label (True: silent for the whole horizon), and which leads they are."""

    numeric: FloatArray
    categories: list[tuple[str, ...]]
    churned: NDArray[np.bool_]
    leads: NDArray[np.int64]


def features_at(portfolio: Portfolio, day: int) -> FloatArray:
    """Return every lead's features at the end of a day, shape (leads, k); what happened later is not looked at."""
    past = portfolio.days[:, : day + 1]
    active = past[..., ACTIVE] > 0
    numbers = np.arange(day + 1)

    def days_since(happened: NDArray[np.bool_]) -> FloatArray:
        last = np.where(happened, numbers, -1).max(axis=1)
        return np.where(last < 0, np.nan, day - last).astype(np.float64)

    def total(counter: int, length: int) -> FloatArray:
        return np.asarray(past[:, -length:, counter].sum(axis=1))

    recency = days_since(active)
    first = np.where(active.any(axis=1), active.argmax(axis=1), day)
    tenure = (day - first).astype(np.float64)
    active_total = active.sum(axis=1).astype(np.float64)
    seven, fourteen, thirty = total(ACTIVE, 7), total(ACTIVE, 14), total(ACTIVE, 30)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap_mean = np.where(active_total > 1, (tenure - recency) / (active_total - 1), np.nan)
        silence = recency / gap_mean
        rate = np.minimum(active_total / (tenure + 1), 1.0)
        open_rate = total(OPENS, 90) / np.maximum(total(ACTIVE, 90), 1)
    columns = {
        "days_since_last_activity": recency,
        "days_since_last_visit": days_since(past[..., VIEWS] > 0),
        "days_since_last_inquiry": days_since(past[..., INQUIRIES] > 0),
        "tenure_days": tenure,
        "active_days_7": seven,
        "active_days_14": fourteen,
        "active_days_30": thirty,
        "active_days_90": total(ACTIVE, 90),
        "page_views_30": total(VIEWS, 30),
        "email_opens_30": total(OPENS, 30),
        "email_clicks_30": total(CLICKS, 30),
        "inquiries_90": total(INQUIRIES, 90),
        "amount_90": np.round(past[:, -90:, AMOUNT] * 100).sum(axis=1) / 100,  # whole hundredths, as activity.py
        "velocity_7": seven - (fourteen - seven),
        "trend_ratio": (1 + seven) / (1 + thirty * 7 / 30),
        "gap_mean": gap_mean,
        "gap_last": _last_gap(active),
        "silence_ratio": np.where(np.isfinite(silence), silence, np.nan),
        "active_rate": rate,
        "open_rate_90": open_rate,
    }
    return np.stack([columns[feature.name] for feature in NUMERIC], axis=1)


def _last_gap(active: NDArray[np.bool_]) -> FloatArray:
    gaps = np.full(len(active), np.nan)
    for lead, row in enumerate(active):
        days = np.flatnonzero(row)
        if len(days) > 1:
            gaps[lead] = days[-1] - days[-2]
    return gaps


def categories_of(portfolio: Portfolio) -> list[tuple[str, ...]]:
    """Return every lead's categories, in the order of the schema."""
    rows = zip(portfolio.source, portfolio.segment, portfolio.zone, strict=True)
    return [(SOURCES[source], SEGMENTS[segment], ZONES[zone][2]) for source, segment, zone in rows]


def snapshot(portfolio: Portfolio, day: int) -> Snapshot:
    """Return the leads that can be asked about on a day, with what became of them within the horizon."""
    numeric = features_at(portfolio, day)
    recency, tenure = numeric[:, 0], numeric[:, 3]
    eligible = np.flatnonzero((recency <= SILENCE_DAYS) & (tenure >= YOUNGEST_DAYS))
    future = portfolio.days[eligible, day + 1 : day + 1 + HORIZON_DAYS, ACTIVE]
    everyone = categories_of(portfolio)
    return Snapshot(numeric[eligible], [everyone[lead] for lead in eligible], future.sum(axis=1) == 0, eligible)
