"""How the client connects: retries by gRPC's own service config, keepalive, and the metadata that names the tenant.

UNAVAILABLE and CANCELLED (a server ended under the call) are retried: nothing was done then, or the same request id tells. The
service says when to come back (`grpc-retry-pushback-ms`, the transport's form of RetryInfo), and gRPC waits for that long.
"""

import json
from collections.abc import Iterable
from typing import Any

DEADLINE_SECONDS = 10.0
# Streams have a deadline, too: the connection is seen to be alive by keepalive, and a stream that ran so long is opened again where it was.
STREAM_SECONDS = 1_800.0
HEARTBEAT_SECONDS = 15.0
LARGEST_MESSAGE_BYTES = 64 * 1_024 * 1_024

SERVICE_CONFIG: dict[str, Any] = {
    "methodConfig": [
        {
            "name": [{}],  # every method
            "retryPolicy": {
                "maxAttempts": 5,  # as many as gRPC allows
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
            },
        }
    ],
    # Retries stop while more than a tenth of the calls fail: they must not keep an overloaded service overloaded. Attempts to reach a service
    # that is away count, too; fifty in a row may fail before that.
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}

Metadata = tuple[tuple[str, str], ...]


def channel_options() -> list[tuple[str, str | int]]:
    """Return the channel's arguments; times in milliseconds, lengths in bytes."""
    return [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.keepalive_time_ms", 20_000),  # the service allows 10,000
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.ping_timeout_ms", 5_000),  # the one that decides when a frozen service is given up
        ("grpc.initial_reconnect_backoff_ms", 100),
        # By default two minutes. Shorter than a call's five attempts (1.2 s at least), so that the first call finds a service that is back.
        ("grpc.max_reconnect_backoff_ms", 500),
        ("grpc.max_receive_message_length", LARGEST_MESSAGE_BYTES),  # 1,024 decisions with their traces
    ]


def call_metadata(tenant: str, more: Iterable[tuple[str, str]]) -> Metadata:
    """Return the metadata of every call; without a tenant the service's credentials, or its default, decide."""
    return (*((("x-keepwell-tenant", tenant),) if tenant else ()), *more)
