"""A lead's numbers for its record, and back: most are small and whole, and MessagePack writes those as one byte instead of eight."""

from array import array
from typing import Any, Final

UNKNOWN: Final = float("nan")
# Looked up in a third of the time of is_integer() and int().
WHOLE: Final = {float(number): number for number in range(-128, 4_096)}


def packed_numbers(row: bytes) -> tuple[float | None, ...]:
    """Return what the store keeps of a row (float64, NaN is unknown): small whole numbers as such, None where unknown."""
    return tuple([WHOLE.get(each, each) if each == each else None for each in array("d", row)])  # noqa: PLR0124 (NaN)


def row_of(packed: Any) -> bytes:
    """Return the row that `packed_numbers` packed; `packed` may be a row itself, as in an older record."""
    try:
        return array("d", packed).tobytes()
    except TypeError:  # some are unknown
        return array("d", [UNKNOWN if each is None else each for each in packed]).tobytes()
