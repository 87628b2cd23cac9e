"""How much of each limit a lead has left, and what has to wait. Reads only."""

from collections.abc import Mapping
from typing import NamedTuple

from rules.compiled import CompiledPolicy, LimitRule
from rules.decision import HOLDOUT, TREATMENT, Assessment, CeilingReading, Situation
from rules.eligibility import use_of
from rules.lead import LeadProfile, LeadState
from rules.moment import moment_of
from rules.vocabulary import AssessmentSource, Cause, Channel
from rules.windows import Use


class Headroom(NamedTuple):
    """One limit on one channel."""

    channel: Channel
    limit_name: str
    used: int
    maximum: int
    next_eligible_at: int | None  # None: one more fits now, or never does


def headroom(
    policy: CompiledPolicy, profile: LeadProfile, state: LeadState, ceilings: Mapping[str, CeilingReading], now: int
) -> list[Headroom]:
    """Return every limit that applies to a lead, by channel; limits of one playbook are left out."""
    unassessed = Assessment(0.0, AssessmentSource.CALLER, "", now)
    situation = Situation("", "", now, Cause.REQUEST, profile, state, unassessed, 100.0, ceilings)
    moment = moment_of(policy, profile.time_zone, profile.country, now)
    channels = dict.fromkeys(candidate.channel for candidate in policy.candidates)
    return [
        _row(channel, limit, use_of(limit, 0, situation, moment), now)
        for channel in sorted(channels)
        for limit in policy.limits
        if limit.playbook == 0 and limit.channel in (0, channel)
    ]


def _row(channel: Channel, limit: LimitRule, use: Use, now: int) -> Headroom:
    free_from = None if use.free_from == now else use.free_from
    return Headroom(channel, limit.name, use.used, limit.maximum, free_from)


def cooldowns(policy: CompiledPolicy, state: LeadState, now: int) -> dict[str, int]:
    """Return what has to wait, and until when."""
    found = {}
    if policy.escalation is not None and state.last_escalated_at is not None:
        until = state.last_escalated_at + policy.escalation.cooldown_ms
        if until > now:
            found["escalation"] = until
    return found


def holdout_arm(policy: CompiledPolicy, bucket: float) -> str:
    """Return which arm a lead is in."""
    return HOLDOUT if bucket < policy.document.holdout.percent else TREATMENT
