"""A sample of what a model scored, kept until somebody counts it away from the road. Belongs to the worker thread."""

from typing import Final

A_BATCH = 16  # leads of one batch, evenly spread over it
MOST_WAITING = 2_048


class Behaviour:
    """A lead's features and since when they hold; empty where nothing is known."""

    __slots__ = ("as_of", "categories", "numeric")

    def __init__(self, numeric: bytes, categories: tuple[str, ...], as_of: int | None) -> None:
        self.numeric: Final = numeric
        self.categories: Final = categories
        self.as_of: Final = as_of


ScoredLead = tuple[Behaviour, float]  # what the model saw of a lead, and its churn probability


class Sample:
    """Bounded: what finds no room is not kept."""

    def __init__(self) -> None:
        self._leads: list[ScoredLead] = []

    @property
    def has_room(self) -> bool:
        """Whether the leads of another batch can be kept."""
        return len(self._leads) < MOST_WAITING

    def add(self, lead: ScoredLead) -> None:
        """Keep one lead."""
        self._leads.append(lead)

    def take(self) -> list[ScoredLead]:
        """Return what was kept, and begin anew."""
        taken, self._leads = self._leads, []
        return taken
