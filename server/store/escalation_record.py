"""An escalation as bytes, and back: the core's own tuple, like the lead's record that an open one lies in."""

from collections.abc import Mapping
from typing import Any

import msgpack

from rules.lead import RaisedEscalation
from rules.vocabulary import EscalationState, Stage

STAGES: Mapping[int, Stage] = {stage: stage for stage in Stage}
STATES: Mapping[int, EscalationState] = {state: state for state in EscalationState}


def escalation_of(*fields: Any) -> RaisedEscalation:
    """Return the escalation with these fields, as they lie in the store; what an older record lacks takes the default."""
    case = RaisedEscalation(*fields)
    return case._replace(stage=STAGES[case.stage], state=STATES[case.state])


def encode_escalation(case: RaisedEscalation, lead_id: str) -> bytes:
    """Return an escalation as the index and its log keep it, with its lead."""
    data: bytes = msgpack.packb((lead_id, case))
    return data


def decode_escalation(data: bytes) -> tuple[RaisedEscalation, str]:
    """Return the escalation that `encode_escalation` made, and its lead."""
    lead_id, fields = msgpack.unpackb(data, use_list=False)
    return escalation_of(*fields), lead_id
