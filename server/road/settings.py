"""The road's bounds, from the service's settings."""

from typing import NamedTuple


class RoadSettings(NamedTuple):
    """How large batches are, how long they wait for company, and what else bounds the road."""

    batch_leads: int
    batch_wait_ms: float
    pending_decisions: int
    timeout_seconds: float
    replicas: int
    decision_seconds: int
    partitions: int
    tenant_time_zone: str
    assessment_reuse_seconds: int
