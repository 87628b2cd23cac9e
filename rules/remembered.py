"""What a function returned, remembered by its argument: for what many leads of a batch have in common."""

from collections.abc import Callable
from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")
KEPT = 4_096


class Remembered(dict[Key, Value]):
    """What a function returned, by its argument; begins anew when it is full."""

    def __init__(self, function: Callable[[Key], Value], kept: int = KEPT) -> None:
        super().__init__()
        self._function = function
        self._kept = kept

    def __missing__(self, key: Key) -> Value:
        """Ask the function."""
        if len(self) >= self._kept:
            self.clear()
        value = self[key] = self._function(key)
        return value
