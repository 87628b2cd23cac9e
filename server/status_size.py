"""How much of an error is told: a status travels in its call's trailers, of which clients take 8 KB, and a batch has one a refused item."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from urllib.parse import quote

from google.rpc.error_details_pb2 import BadRequest

from server.errors import FieldViolation

# Together below 4 KB: 1,024 refused items, the most of any batch, then fit into a message of 4 MB.
MESSAGE_BYTES, VIOLATIONS_BYTES = 1_024, 2_560
PATH_BYTES, DESCRIPTION_BYTES = 256, 1_024
CUT = "…"
PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")  # what gRPC writes into a trailer as it is


def shortened(text: str, most_bytes: int) -> str:
    """Return a text that takes at most so many bytes in a trailer, where others than printable ASCII take three each."""
    lengths = list(accumulate(len(quote(character, safe=PLAIN)) for character in text[: most_bytes + 1]))
    if not lengths or lengths[-1] <= most_bytes:
        return text
    return text[: bisect_right(lengths, most_bytes - len(quote(CUT)))] + CUT


def told(violations: Sequence[FieldViolation]) -> BadRequest:
    """Return the first violations, each of them whole, and at least one; how many are left out is the caller's to say."""
    bad, room = BadRequest(), VIOLATIONS_BYTES
    for violation in violations:
        field, description = shortened(violation.field, PATH_BYTES), shortened(violation.description, DESCRIPTION_BYTES)
        one = BadRequest(field_violations=[BadRequest.FieldViolation(field=field, description=description)])
        room -= one.ByteSize()
        if room < 0:
            break
        bad.MergeFrom(one)
    return bad


def summary(violations: Sequence[FieldViolation]) -> str:
    """Return the first violation, and how many more there are."""
    field, description = violations[0]
    more = f"; and {len(violations) - 1} more" if len(violations) > 1 else ""
    return shortened(f"{shortened(field, PATH_BYTES)}: {description}", MESSAGE_BYTES - len(more)) + more
