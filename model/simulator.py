"""A seeded world of leads: what they do day by day, why they leave, and what contacting them would have changed.

Each lead is dormant, light, engaged or gone, and moves between these daily; what it does on an active day follows. Its type says how it
answers to contact. The same random numbers drive the world with contact and the one without, so the effect of every contact is known
exactly. Source of the figures: weekly transition and event rates measured on a public log of engagement, as constants here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DORMANT, LIGHT, ENGAGED, GONE = range(4)
TYPES = ("persuadable", "sure", "lost", "sleeping_dog")
TYPE_SHARES = (0.30, 0.40, 0.20, 0.10)
ACTIVE_PROBABILITY = np.array([0.005, 0.22, 0.62, 0.0])
WEEKLY = np.array(
    [
        [0.434, 0.452, 0.104, 0.010],
        [0.250, 0.461, 0.244, 0.045],
        [0.070, 0.270, 0.654, 0.006],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
CHURN_MULTIPLIER = np.exp([-1.5, -0.1, 0.0, 1.0])  # of the daily hazard, for 28 days after contact, by type
WEEKDAYS = np.array([1.05, 1.05, 1.05, 1.0, 0.95, 0.95, 0.95])
SOURCES = ("portal", "referral", "open_house", "advert", "website")
SOURCE_FRAILTY = np.array([1.0, 0.85, 1.0, 1.25, 1.0])  # adverts bring leads who leave sooner
SEGMENTS = ("buyer", "seller", "investor", "tenant")
ZONES = (
    ("America/New_York", "US", "NY"),
    ("America/Chicago", "US", "IL"),
    ("America/Denver", "US", "CO"),
    ("America/Los_Angeles", "US", "CA"),
    ("America/Phoenix", "US", "AZ"),
)
COUNTERS = ("active", "views", "opens", "clicks", "inquiries", "amount", "purchases", "quarters", "contacts")
CONTACTS = COUNTERS.index("contacts")
HABIT = 0.7  # how often a lead comes in its own quarter of the day


class Portfolio(NamedTuple):
    """Leads and what they did: `days` is (leads, days, counters), the rest is one entry a lead."""

    days: NDArray[np.float64]
    joined: NDArray[np.int64]
    gone: NDArray[np.int64]  # day on which the lead left for good; the number of days when it has not
    kind: NDArray[np.int64]  # index into TYPES
    source: NDArray[np.int64]
    segment: NDArray[np.int64]
    zone: NDArray[np.int64]
    value: NDArray[np.float64]


def daily_rates() -> NDArray[np.float64]:
    """Return the daily transition matrix whose seventh power is about the weekly one."""
    values, vectors = np.linalg.eig(WEEKLY)
    root = (vectors * np.real(values).astype(complex) ** (1 / 7)) @ np.linalg.inv(vectors)
    clipped = np.clip(np.real(root), 0.0, None)
    return np.asarray(clipped / clipped.sum(axis=1, keepdims=True))


def simulate(leads: int, days: int, seed: int, contact_day: int | None = None) -> Portfolio:
    """Return a portfolio; with a `contact_day` every lead is contacted on it, and all else is the same.

    Args:
        leads: How many.
        days: How long; leads join during the first half.
        seed: The same seed gives the same world.
        contact_day: Day from which, for 28 days, the hazard of leaving is the type's.

    """
    draw = np.random.default_rng(seed)
    habits = np.random.default_rng([seed, 1])  # apart, so that the world does not depend on them
    own_quarter = habits.choice(4, leads, p=[0.05, 0.25, 0.3, 0.4])
    kind = draw.choice(len(TYPES), leads, p=TYPE_SHARES)
    source, segment = draw.integers(len(SOURCES), size=leads), draw.integers(len(SEGMENTS), size=leads)
    zone = draw.integers(len(ZONES), size=leads)
    value = np.asarray(np.round(np.exp(draw.normal(12.9, 0.5, leads)), -3), dtype=np.float64)
    joined = draw.integers(0, max(days // 2, 1), leads)
    energy = draw.gamma(3.0, 1 / 3, leads)
    frailty = np.exp(draw.normal(-0.35, 0.85, leads)) * SOURCE_FRAILTY[source]
    state = draw.choice([LIGHT, ENGAGED], leads, p=[0.4, 0.6])
    cumulative = daily_rates()
    gone = np.full(leads, days)
    record = np.zeros((leads, days, len(COUNTERS)))
    for day in range(days):
        moves, acts = draw.random(leads), draw.random(leads)
        counts = _counts(draw, leads)
        present = (joined <= day) & (state != GONE)
        hazard = frailty.copy()
        if contact_day is not None and contact_day <= day < contact_day + 28:
            hazard *= CHURN_MULTIPLIER[kind]
        state = np.where(present, _move(state, moves, hazard, cumulative), state)
        left = present & (state == GONE)
        gone[left] = day
        season = 1 + 0.12 * np.sin(2 * np.pi * day / 365)
        chance = np.clip(ACTIVE_PROBABILITY[state] * energy * season * WEEKDAYS[day % 7], 0, 0.97)
        active = (joined <= day) & (state != GONE) & ((acts < chance) | (joined == day))
        record[:, day] = np.concatenate([counts, _quarters(habits, own_quarter)], axis=1) * active[:, None]
        if contact_day == day:
            record[joined <= day, day, CONTACTS] = 1
    return Portfolio(record, joined, gone, kind, source, segment, zone, value)


def _move(
    state: NDArray[np.int64], moves: NDArray[np.float64], hazard: NDArray[np.float64], rates: NDArray[np.float64]
) -> NDArray[np.int64]:
    row = rates[state].copy()
    leave = np.clip(row[:, GONE] * hazard, 0, 1)
    row[:, :GONE] *= ((1 - leave) / np.maximum(row[:, :GONE].sum(axis=1), 1e-12))[:, None]
    row[:, GONE] = leave
    # Leaving comes first in the order, so that a smaller hazard keeps everybody whom a larger one would have kept.
    order = np.array([GONE, DORMANT, LIGHT, ENGAGED])
    place = (moves[:, None] > np.cumsum(row[:, order], axis=1)).sum(axis=1)
    return np.asarray(order[np.minimum(place, GONE)])


def _counts(draw: np.random.Generator, leads: int) -> NDArray[np.float64]:
    """Return what each lead would do on an active day, in the order of COUNTERS up to the purchases."""
    views = 1.0 + draw.poisson(2.2, leads)
    opens, clicks, inquiries, buys = (draw.random(leads) < share for share in (0.30, 0.08, 0.05, 0.035))
    amount = np.exp(draw.normal(5.75, 0.7, leads)) * buys
    return np.stack([np.ones(leads), views, opens, clicks, inquiries, amount, buys], axis=1)


def _quarters(habits: np.random.Generator, own: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the quarters of the day in which each lead would come, one bit each, and no contact: the last two of COUNTERS."""
    quarter = np.where(habits.random(len(own)) < HABIT, own, habits.integers(4, size=len(own)))
    return np.stack([1 << quarter, np.zeros(len(own))], axis=1)
