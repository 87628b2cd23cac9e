"""Consent: of two words on the same channel, the one that counts."""

from rules.lead import Consent
from rules.vocabulary import ConsentState


def newer(before: Consent | None, said: Consent) -> Consent:
    """Return the word that counts: the later one, and of two at the same time the withdrawal."""
    if before is None or said.occurred_at > before.occurred_at:
        return said
    if said.occurred_at == before.occurred_at and said.state is ConsentState.WITHDRAWN:
        return said
    return before
