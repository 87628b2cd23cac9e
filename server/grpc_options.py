"""gRPC's own settings, on purpose: its defaults accept thousands of streams on a connection and notice a frozen peer after a minute."""

MOST_CALLS = 100_000


def server_options(message_bytes: int, streams: int, share_port: bool) -> list[tuple[str, int]]:
    """Return the server's channel arguments; lengths in bytes, times in milliseconds."""
    return [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", 4 * message_bytes),
        ("grpc.max_metadata_size", 8_192),
        ("grpc.absolute_max_metadata_size", 16_384),
        ("grpc.max_concurrent_streams", streams),
        # Of more calls than these that have come at once, gRPC ends some as CANCELLED (from 1,000 on, all from 3,000 on): we say OVERLOADED.
        ("grpc.server.max_pending_requests", MOST_CALLS),
        ("grpc.server.max_pending_requests_hard_limit", MOST_CALLS),
        ("grpc.server_handshake_timeout_ms", 5_000),
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.http2.ping_timeout_ms", 5_000),  # the one that decides when a frozen peer is given up
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
        ("grpc.max_connection_age_ms", 1_800_000),
        ("grpc.max_connection_age_grace_ms", 30_000),
        # By default two unrelated servers share a port silently; only several processes of ours may.
        ("grpc.so_reuseport", int(share_port)),
    ]
