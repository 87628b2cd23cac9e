"""An escalation as bytes, and back: the core's own value, like the lead's record that an open one lies in."""

from msgspec.msgpack import Decoder, Encoder

from rules.lead import RaisedEscalation

_encode = Encoder().encode
_decode = Decoder(tuple[str, RaisedEscalation]).decode


def encode_escalation(case: RaisedEscalation, lead_id: str) -> bytes:
    """Return an escalation as the index and its log keep it, with its lead."""
    return _encode((lead_id, case))


def decode_escalation(data: bytes) -> tuple[RaisedEscalation, str]:
    """Return the escalation that `encode_escalation` made, and its lead; what an older one lacks takes the default."""
    lead_id, case = _decode(data)
    return case, lead_id
