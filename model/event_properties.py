"""Whether what an event says in a property is what its type declares."""

import math
import re

from model.events import PropertyType

INTEGER = re.compile(r"-?[0-9]{1,18}")
NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?([eE][-+]?[0-9]{1,3})?")
BOOLEANS = ("true", "false")


def property_fault(declared: PropertyType, text: str) -> str | None:
    """Return what is wrong with a property's text, or None: what it must be, in words."""
    if declared.kind == "text":
        return _text_fault(declared, text)
    if declared.kind == "boolean":
        return None if text in BOOLEANS else "must be true or false"
    pattern = INTEGER if declared.kind == "integer" else NUMBER
    number = float(text) if pattern.fullmatch(text) else math.nan
    low = -math.inf if declared.lowest is None else declared.lowest
    high = math.inf if declared.highest is None else declared.highest
    if math.isfinite(number) and low <= number <= high:
        return None
    article = "an integer" if declared.kind == "integer" else "a number"
    return f"must be {article} in [{low:g}, {high:g}]"


def _text_fault(declared: PropertyType, text: str) -> str | None:
    if declared.choices:
        return None if text in declared.choices else f"must be one of {', '.join(declared.choices)}"
    if len(text) > declared.longest or not text.isprintable():
        return f"must be at most {declared.longest} printable characters"
    return None
