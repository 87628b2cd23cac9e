"""What becomes of a lead's candidates: the course that its answer says, with the lead's own counts, times and values."""

from collections.abc import Sequence

from rules.answer import Answer
from rules.compiled import Candidate, CompiledPolicy
from rules.course import Course, Step, suppression
from rules.decision import Arbitration, InterventionAction, Situation, Suppression
from rules.eligibility import closes_at, open_from, use_of
from rules.moment import Moment
from rules.stage import StageFinding
from rules.vocabulary import NO_STAGE, ReasonCode, Stage, Verdict
from rules.windows import Use

DELIVERY_MS = 3_600_000  # how long a granted contact may wait to be carried out
NOTHING = Arbitration(Verdict.NO_ACTION, (), (), {}, None, None)


def arbitrate(
    policy: CompiledPolicy,
    situation: Situation,
    moment: Moment,
    answer: Answer,
    finding: StageFinding,
    *,
    held_out: bool,
) -> Arbitration:
    """Return what became of every candidate of the answer's stage."""
    interventions: list[InterventionAction] = []
    suppressions = _kept_from(policy, finding)
    claims: dict[str, int] = {}
    closes: int | None = None
    deferred_to: int | None = None
    course = answer.course
    uses = [use_of(full.limit, full.added, situation, moment) for full in course.full]
    for step in course.steps:
        if step.granted and not held_out:
            _claim(step.candidate, claims)
            closing = closes_at(step.candidate, moment)
            closes = _earlier(closes, closing)
            interventions.append(_action(step.candidate, len(interventions) + 1, closing, situation, moment.now))
        elif step.full or step.ends:
            eligible = _withhold(step, course, uses, moment, suppressions)
            if step.defers:
                deferred_to = _earlier(deferred_to, eligible)
        else:
            suppressions += step.reasons
    if held_out or interventions:
        deferred_to = None
    verdict = _verdict(interventions, deferred_to, held_out=held_out)
    return Arbitration(verdict, tuple(interventions), tuple(suppressions), claims, closes, deferred_to)


def _verdict(interventions: Sequence[InterventionAction], deferred_to: int | None, *, held_out: bool) -> Verdict:
    if held_out:
        return Verdict.HELD_OUT
    if interventions:
        return Verdict.CONTACT
    return Verdict.SUPPRESS if deferred_to is None else Verdict.DEFER


def failed(policy: CompiledPolicy, stage: Stage) -> Arbitration:
    """Return every candidate of a stage as withheld because the engine failed."""
    candidates = [each for each in policy.candidates if each.stage in (None, stage)]
    reasons = [suppression(each, ReasonCode.RULE_ERROR, "engine") for each in candidates]
    return Arbitration(Verdict.SUPPRESS, (), tuple(reasons), {}, None, None)


def _earlier(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def _kept_from(policy: CompiledPolicy, finding: StageFinding) -> list[Suppression]:
    """Return the candidates of the lower stage that hysteresis keeps the lead from, if it does."""
    if finding.below_since is None or finding.raw is NO_STAGE:
        return []
    until = finding.below_since + policy.document.hysteresis.de_escalate_after
    reason, rule = ReasonCode.STAGE_HYSTERESIS, "hysteresis"
    return [
        Suppression(each.channel, each.playbook, reason, rule, "", None, None, until)
        for each in policy.candidates
        if each.stage is finding.raw
    ]


def _withhold(
    step: Step, course: Course, uses: Sequence[Use], moment: Moment, suppressions: list[Suppression]
) -> int | None:
    """Note everything that is against a candidate; return from when on nothing is, if that passes with time."""
    candidate = step.candidate
    channel, playbook = candidate.channel, candidate.playbook
    eligible = _eligible_at(step, uses, moment) if step.ends else None
    for denied in step.reasons:
        suppressions.append(Suppression(channel, playbook, denied.reason, denied.rule, "", None, None, eligible))
    for place in step.full:
        full, observed = course.full[place], float(uses[place].used)
        limit = full.limit
        suppressions.append(
            Suppression(channel, playbook, limit.reason, full.rule, limit.name, observed, full.maximum, eligible)
        )
    return eligible


def _eligible_at(step: Step, uses: Sequence[Use], moment: Moment) -> int | None:
    """Return the first instant from now on that is free of every limit and of all hours; None if there never is one.

    Only limits that are full now matter: contacts grow older, so one that has room keeps it.
    """
    instant = moment.now
    for place in step.full:
        free_from = uses[place].free_from
        if free_from is None:
            return None
        instant = free_from if free_from > instant else instant
    return open_from(step.candidate, instant, moment) if step.candidate.hours else instant


def _claim(candidate: Candidate, claims: dict[str, int]) -> None:
    """Note the tenant-wide limits that a granted contact uses up."""
    for limit in candidate.limits:
        if limit.tenant:
            claims[limit.name] = claims.get(limit.name, 0) + 1


def _action(
    candidate: Candidate, place: int, closing: int | None, situation: Situation, now: int
) -> InterventionAction:
    value = situation.profile.value
    at_risk = None if value is None else situation.assessment.churn_probability * value - candidate.cost
    expires_at = now + DELIVERY_MS if closing is None else min(now + DELIVERY_MS, closing)
    return InterventionAction(
        f"{situation.decision_id}.{place}",
        candidate.channel,
        candidate.playbook,
        place,
        now,
        expires_at,
        candidate.cost,
        at_risk,
        situation.profile.currency,
        candidate.name,
    )
