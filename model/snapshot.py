"""Features at the end of a day: the definitions that the schema's names stand for, over daily counters."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from model.activity import ANSWER_DAYS, KEPT_DAYS, TREND_GAPS
from model.features import NUMERIC, FloatArray
from model.simulator import COUNTERS, SEGMENTS, SOURCES, ZONES, Portfolio

ACTIVE, VIEWS, OPENS, CLICKS, INQUIRIES, AMOUNT, PURCHASES, QUARTERS, CONTACTS = range(len(COUNTERS))


class Days(Protocol):
    """Daily counters of some leads."""

    @property
    def days(self) -> FloatArray:
        """Return the counters, (leads, days, counters)."""


def features_at(portfolio: Days, day: int) -> FloatArray:
    """Return every lead's features at the end of a day, shape (leads, k); what happened later is not looked at."""
    past = portfolio.days[:, : day + 1]
    active = past[..., ACTIVE] > 0
    numbers = np.arange(day + 1)

    def days_since(happened: NDArray[np.bool_]) -> FloatArray:
        last = np.where(happened, numbers, -1).max(axis=1)
        return np.where(last < 0, np.nan, day - last).astype(np.float64)

    def total(counter: int, length: int) -> FloatArray:
        return np.asarray(past[:, -length:, counter].sum(axis=1))

    def amount(length: int) -> FloatArray:
        # Whole hundredths, as in activity.py.
        return np.asarray(np.round(past[:, -length:, AMOUNT] * 100).sum(axis=1) / 100)

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
        click_to_open = np.where(total(OPENS, 90) > 0, total(CLICKS, 90) / total(OPENS, 90), np.nan)
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
        "amount_90": amount(90),
        "velocity_7": seven - (fourteen - seven),
        "trend_ratio": (1 + seven) / (1 + thirty * 7 / 30),
        "gap_mean": gap_mean,
        "gap_last": _last_gap(active),
        "silence_ratio": np.where(np.isfinite(silence), silence, np.nan),
        "active_rate": rate,
        "open_rate_90": open_rate,
        "days_since_last_email_click": days_since(past[..., CLICKS] > 0),
        "days_since_last_purchase": days_since(past[..., PURCHASES] > 0),
        "page_views_7": total(VIEWS, 7),
        "page_views_90": total(VIEWS, 90),
        "email_opens_7": total(OPENS, 7),
        "email_opens_90": total(OPENS, 90),
        "email_clicks_7": total(CLICKS, 7),
        "email_clicks_90": total(CLICKS, 90),
        "inquiries_7": total(INQUIRIES, 7),
        "inquiries_30": total(INQUIRIES, 30),
        "purchases_7": total(PURCHASES, 7),
        "purchases_30": total(PURCHASES, 30),
        "purchases_90": total(PURCHASES, 90),
        "amount_7": amount(7),
        "amount_30": amount(30),
        "velocity_30": thirty - (total(ACTIVE, 60) - thirty),
        **_gaps(active[:, -KEPT_DAYS:]),
        "click_to_open_90": click_to_open,
        **_responses(active, past[..., CONTACTS]),
        "week_concentration_90": _week_concentration(past[..., QUARTERS]),
    }
    return np.stack([columns[feature.name] for feature in NUMERIC], axis=1)


def _last_gap(active: NDArray[np.bool_]) -> FloatArray:
    gaps = np.full(len(active), np.nan)
    for lead, row in enumerate(active):
        days = np.flatnonzero(row)
        if len(days) > 1:
            gaps[lead] = days[-1] - days[-2]
    return gaps


def _gaps(active: NDArray[np.bool_]) -> dict[str, FloatArray]:
    """Return deviation, longest and trend of the gaps between the active days of a window."""
    found = np.full((3, len(active)), np.nan)
    for lead, row in enumerate(active):
        gaps = np.diff(np.flatnonzero(row)).astype(np.float64)
        if len(gaps):
            found[0, lead] = np.sqrt(len(gaps) * (gaps * gaps).sum() - gaps.sum() ** 2) / len(gaps)
            found[1, lead] = gaps.max()
        if len(gaps) > TREND_GAPS:
            found[2, lead] = (gaps[-TREND_GAPS:].sum() / TREND_GAPS) / gaps.mean()
    return {"gap_std_90": found[0], "gap_max_90": found[1], "gap_trend_90": found[2]}


def _responses(active: NDArray[np.bool_], contacts: FloatArray) -> dict[str, FloatArray]:
    """Return contacts, those without an answer, and the share that was answered."""
    today = active.shape[1] - 1
    first = max(today - KEPT_DAYS + 1, 0)
    answered, lapsed, unanswered = (np.zeros(len(active)) for _ in range(3))
    for day in range(first, today + 1):
        answer = active[:, day : day + ANSWER_DAYS + 1].any(axis=1)
        answered += contacts[:, day] * answer
        if day + ANSWER_DAYS < today:
            lapsed += contacts[:, day] * ~answer
        if day > today - 30:
            unanswered += contacts[:, day] * ~answer
    judged = answered + lapsed
    rate = np.where(judged > 0, answered / np.maximum(judged, 1), np.nan)
    total = contacts[:, -30:].sum(axis=1)
    return {"contacts_30": total, "unanswered_contacts_30": unanswered, "response_rate_90": rate}


def _week_concentration(quarters: FloatArray) -> FloatArray:
    """Return the chance that two active quarters of the last 90 days are in the same part of the week."""
    days = np.arange(quarters.shape[1])[-KEPT_DAYS:]
    masks = quarters[:, -KEPT_DAYS:].astype(np.int64)
    parts = np.zeros((len(quarters), 28))
    for weekday in range(7):
        for quarter in range(4):
            chosen = masks[:, days % 7 == weekday] >> quarter & 1
            parts[:, 4 * weekday + quarter] = chosen.sum(axis=1)
    total = parts.sum(axis=1)
    return np.where(total > 0, (parts * parts).sum(axis=1) / np.maximum(total * total, 1), np.nan)


def categories_of(portfolio: Portfolio) -> list[tuple[str, ...]]:
    """Return every lead's categories, in the order of the schema."""
    rows = zip(portfolio.source, portfolio.segment, portfolio.zone, strict=True)
    return [(SOURCES[source], SEGMENTS[segment], ZONES[zone][2]) for source, segment, zone in rows]
