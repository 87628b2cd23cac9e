"""Whether a ruling tells anybody something, or only moves the lead's next review on."""

from rules.decision import Ruling
from rules.lead import LeadState


def is_news(before: LeadState, ruling: Ruling) -> bool:
    """Return whether the stage or the verdict changed, a contact is granted, an escalation is raised, or a deferral's time has come."""
    decision = ruling.decision
    return (
        decision.stage is not before.stage
        or decision.verdict != before.verdict
        or bool(decision.interventions)
        or decision.escalation is not None
        or (before.deferred_to is not None and before.deferred_to <= decision.decided_at)
    )
