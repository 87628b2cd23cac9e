"""Keepwell's client: `Client` for threads, `AsyncClient` for asyncio. Requests and answers are the contract's own messages (`keepwell.v1`)."""

from keepwell_client.aio import AsyncClient
from keepwell_client.aio_worker import AsyncWorker
from keepwell_client.client import Client
from keepwell_client.errors import KeepwellError
from keepwell_client.portfolio import DecideResult
from keepwell_client.requests import EARLIEST, LATEST
from keepwell_client.settling import RetryLaterError
from keepwell_client.tokens import FileTokenStore, MemoryTokenStore, TokenStore
from keepwell_client.worker import Worker

__all__ = [
    "EARLIEST",
    "LATEST",
    "AsyncClient",
    "AsyncWorker",
    "Client",
    "DecideResult",
    "FileTokenStore",
    "KeepwellError",
    "MemoryTokenStore",
    "RetryLaterError",
    "TokenStore",
    "Worker",
]
