"""A store that could lose or forget what it has confirmed is refused, by the server as a whole."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from server.store.embedded import EmbeddedStore
from tests.conftest import NotReadyError, start_server


@pytest.fixture
def client(own_store: EmbeddedStore) -> Iterator[Redis]:
    with Redis.from_url(own_store.url) as opened:
        yield opened
        opened.config_set("appendonly", "yes")
        opened.config_set("appendfsync", "always")
        opened.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("appendonly", "no", "appendonly is no, needed is yes"),
        ("appendfsync", "everysec", "appendfsync is everysec, needed is always"),
        ("maxmemory-policy", "allkeys-lru", "maxmemory-policy is allkeys-lru, needed is noeviction"),
    ],
)
def test_a_store_that_could_lose_something_is_refused(
    own_store: EmbeddedStore, client: Redis, tmp_path: Path, name: str, value: str, problem: str
) -> None:
    client.config_set(name, value)
    with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError) as refused:
        start_server("--redis-url", own_store.url, stderr=log.fileno())
    assert refused.value.args == (1,)
    assert f"cannot serve: the store is not safe: {problem}\n" in (tmp_path / "log").read_text()
    assert client.dbsize() == 0


def test_everything_that_is_wrong_with_a_store_is_said_at_once(
    own_store: EmbeddedStore, client: Redis, tmp_path: Path
) -> None:
    client.config_set("appendfsync", "no")
    client.config_set("maxmemory-policy", "volatile-ttl")
    with (tmp_path / "log").open("w") as log, pytest.raises(NotReadyError):
        start_server("--redis-url", own_store.url, stderr=log.fileno())
    expected = "appendfsync is no, needed is always; maxmemory-policy is volatile-ttl, needed is noeviction"
    assert expected in (tmp_path / "log").read_text()


def test_the_same_store_is_taken_once_it_is_safe(own_store: EmbeddedStore, client: Redis) -> None:
    assert client.ping()
    assert start_server("--redis-url", own_store.url).stop() == 0
