"""Requests of streams, from what a caller gives."""

import os
import socket
import uuid

from google.protobuf.duration_pb2 import Duration
from google.protobuf.empty_pb2 import Empty
from keepwell.v1.feed_service_pb2 import FeedFilter, FeedStart, SubscribeRequest, WatchDecisionsRequest

EARLIEST = FeedStart(earliest=Empty())
LATEST = FeedStart(latest=Empty())


def watch_request(
    feed_filter: FeedFilter | None, start: FeedStart | None, token: str | None, heartbeat_seconds: float
) -> WatchDecisionsRequest:
    """Return what to watch: after the token, or from the start when there is none yet."""
    heartbeat = Duration()
    heartbeat.FromMilliseconds(round(heartbeat_seconds * 1_000))
    place = FeedStart(after=token) if token else start
    return WatchDecisionsRequest(start=place, filter=feed_filter, heartbeat=heartbeat)


def subscribe_request(given: str | SubscribeRequest, concurrency: int) -> SubscribeRequest:
    """Return the request with what it leaves open: a consumer's name, and no more in hand than is soon done."""
    request = SubscribeRequest(subscription=given) if isinstance(given, str) else SubscribeRequest()
    if isinstance(given, SubscribeRequest):
        request.CopyFrom(given)
    request.consumer = request.consumer or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    request.max_outstanding = request.max_outstanding or 2 * concurrency
    return request
