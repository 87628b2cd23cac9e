"""Idempotency keys: made once for a logical call, the same in each of its retries."""

import uuid
from typing import TypeVar

from google.protobuf.message import Message

Request = TypeVar("Request", bound=Message)
FIELD = "request_id"


def keyed(request: Request) -> Request:
    """Return the request, or a copy of it with a new request id when it has none and could have one."""
    if FIELD not in request.DESCRIPTOR.fields_by_name or getattr(request, FIELD):
        return request
    copy = type(request)()
    copy.CopyFrom(request)
    setattr(copy, FIELD, uuid.uuid4().hex)
    return copy


def key_of(request: Message) -> str:
    """Return the request's id; empty when it has none."""
    return str(getattr(request, FIELD, ""))
