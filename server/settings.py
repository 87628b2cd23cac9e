"""Every knob of the service: an environment variable `KEEPWELL_…` each, with its unit in its name.

A command-line option of `keepwell serve` wins over its variable. Nothing here is a secret, but for a password in `redis_url`.
"""

from pathlib import Path
from typing import Literal
from zoneinfo import available_timezones

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from server.host_port import is_host_and_port
from server.store_url import check_store_url

DEFAULT_LISTEN = "127.0.0.1:50051"


class Settings(BaseSettings):
    """The service's settings, validated once at start."""

    model_config = SettingsConfigDict(env_prefix="KEEPWELL_", extra="ignore", frozen=True)

    listen: str = DEFAULT_LISTEN
    data_dir: Path = Path(".keepwell")
    redis_url: str | None = None
    store_binary: str | None = None
    policy: Path | None = None
    policy_dir: Path | None = None
    events_dir: Path | None = None  # types of events of tenants' own, one <tenant>.yaml each
    model_dir: Path | None = None
    export_dir: Path | None = (
        None  # what `keepwell export` wrote: decisions that the log no longer holds are read there
    )
    processes: int = Field(default=1, ge=1, le=64)
    clock: Literal["store", "manual"] = "store"
    tenant_time_zone: str = "UTC"
    metrics_listen: str | None = None  # HOST:PORT of the Prometheus page, one for all processes
    # Whether this process does by itself what falls due: reviews of leads, and escalations that nobody acknowledged.
    reviews: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    log_retention_hours: int = Field(default=168, ge=24, le=24 * 400)
    # Of each tenant; the older ones go before their time when there are more. In the store's memory one takes 1.3 KB, with factors 2.
    log_max_decisions: int = Field(default=10_000_000, ge=1_000)
    # The features' 90 days and the label's 30: what training from the log needs.
    event_retention_days: int = Field(default=120, ge=31, le=3_650)
    outcome_retention_days: int = Field(default=400, ge=91, le=3_650)  # a year and a month, to compare years by
    store_timeout_seconds: float = Field(default=2.0, gt=0, le=30)
    # How many replicas have to confirm a commit before it is answered. With 0, the store may have none.
    store_replicas: int = Field(default=0, ge=0, le=10)
    clock_skew_seconds: float = Field(default=5.0, gt=0, le=300)
    drain_seconds: float = Field(default=10.0, gt=0, le=120)
    write_stall_seconds: float = Field(default=60.0, gt=0, le=600)

    # How long a model's assessment is used again while nothing that it saw has changed, within one UTC day; 0: never.
    assessment_reuse_seconds: int = Field(default=300, ge=0, le=86_400)
    batch_leads: int = Field(default=256, ge=1, le=1024)
    # The longest that callers wait for company; they go as soon as all who are expected are there, or nobody comes any more.
    batch_wait_ms: float = Field(default=40.0, ge=0, le=50)
    pending_decisions: int = Field(default=4096, ge=1, le=100_000)
    # 64 calls in flight were refused under a bound of 100: a finished stream counts until both sides have forgotten it.
    streams_per_connection: int = Field(default=1_000, ge=1, le=10_000)
    message_bytes: int = Field(default=4 << 20, ge=1 << 16, le=64 << 20)

    @field_validator("tenant_time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"{name!r} is not an IANA time zone, such as Europe/Berlin")
        return name

    @field_validator("redis_url")
    @classmethod
    def _is_a_store(cls, url: str | None) -> str | None:
        if url is not None:
            check_store_url(url)
        return url

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _is_host_and_port(cls, listen: str | None) -> str | None:
        if listen is not None and not is_host_and_port(listen, 0):
            raise ValueError(f"{listen!r} is not HOST:PORT, such as {DEFAULT_LISTEN}")
        return listen
