"""What becomes of an escalation once it is raised: taken, passed on, done, or out of time. Each function returns its next value.

An escalation follows the plan of the policy that raised it, whatever policy is in force later.
"""

from msgspec.structs import replace

from rules.compiled import CompiledPolicy
from rules.decision import HOLDOUT, Decision
from rules.lead import RaisedEscalation
from rules.vocabulary import EscalationState


class EscalationStateError(Exception):
    """The escalation's state does not allow the change."""

    def __init__(self, case: RaisedEscalation) -> None:
        super().__init__(f"the escalation is {case.state.name}, which does not allow this change")
        self.state = case.state.name
        self.acknowledged_by = case.acknowledged_by


def after_decision(
    policy: CompiledPolicy, before: RaisedEscalation | None, decision: Decision
) -> RaisedEscalation | None:
    """Return the lead's escalation after a decision: the one that it raised, none once it has recovered or is held out, or the one before."""
    raised, plan, now = decision.escalation, policy.document.escalation, decision.decided_at
    if raised is not None and plan is not None:
        return RaisedEscalation(
            raised.escalation_id,
            raised.level,
            raised.target,
            now,
            raised.due_at,
            decision.stage,
            plan.acknowledge_within,
            plan.then.target if plan.then else "",
            reason=raised.reason,
            recommendations=raised.recommendations,
            changed_at=now,
        )
    if before is None or decision.stage < before.stage or decision.holdout_arm == HOLDOUT:
        return None
    return before


def closed_by(before: RaisedEscalation, after: RaisedEscalation | None, decision: Decision) -> RaisedEscalation | None:
    """Return how a decision that left `after` closed the escalation `before`; None when it did not."""
    now = decision.decided_at
    if after is None and decision.stage >= before.stage:
        return _held_out(before, now)
    if after is None:
        return resolved(before, f"recovered: the lead is at {decision.stage.name.lower()}", now)
    if after.escalation_id != before.escalation_id:
        return _closed(before, EscalationState.EXPIRED, f"replaced by {after.escalation_id}", now)
    return None


def acknowledged(case: RaisedEscalation, by: str, now: int) -> RaisedEscalation:
    """Return it in somebody's hands; raises EscalationStateError when it is in somebody else's, or closed."""
    if case.state is EscalationState.ACKNOWLEDGED and case.acknowledged_by == by:
        return case
    if case.state is not EscalationState.OPEN:
        raise EscalationStateError(case)
    return replace(
        case, state=EscalationState.ACKNOWLEDGED, due_at=None, acknowledged_by=by, acknowledged_at=now, changed_at=now
    )


def resolved(case: RaisedEscalation, resolution: str, now: int) -> RaisedEscalation:
    """Return it done; raises EscalationStateError when it is closed."""
    return _closed(case, EscalationState.RESOLVED, resolution, now)


def reassigned(case: RaisedEscalation, target: str, now: int) -> RaisedEscalation:
    """Return it with another target, who has to acknowledge it; raises EscalationStateError when it is closed."""
    _check_open(case)
    return replace(
        case,
        state=EscalationState.OPEN,
        target=target,
        due_at=now + case.acknowledge_ms,
        acknowledged_by="",
        acknowledged_at=None,
        changed_at=now,
    )


def overdue(case: RaisedEscalation, now: int, *, held_out: bool = False) -> RaisedEscalation:
    """Return it with its next target at the next level, or expired, once it is due; unchanged before."""
    if case.due_at is None or now < case.due_at:
        return case
    if held_out:
        return _held_out(case, now)
    if not case.next_target:
        return _closed(case, EscalationState.EXPIRED, "nobody acknowledged it in time", now)
    # Counted from now: whoever is next has the whole time, even when nobody could look at the clock for a while.
    return replace(
        case,
        level=case.level + 1,
        target=case.next_target,
        next_target="",
        due_at=now + case.acknowledge_ms,
        changed_at=now,
    )


def is_open(case: RaisedEscalation) -> bool:
    """Return whether somebody still has to do something about it."""
    return case.state in (EscalationState.OPEN, EscalationState.ACKNOWLEDGED)


def _held_out(case: RaisedEscalation, now: int) -> RaisedEscalation:
    """Return it closed, as nobody may act on a lead that has come into the control group since it was raised."""
    return _closed(case, EscalationState.EXPIRED, "the lead is held out", now)


def _closed(case: RaisedEscalation, state: EscalationState, resolution: str, now: int) -> RaisedEscalation:
    _check_open(case)
    return replace(case, state=state, due_at=None, resolution=resolution, closed_at=now, changed_at=now)


def _check_open(case: RaisedEscalation) -> None:
    if not is_open(case):
        raise EscalationStateError(case)
