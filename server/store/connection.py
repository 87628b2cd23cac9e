"""Connections to the store, bounded on purpose, and what a store must be before anything is entrusted to it.

redis-py retries a command ten times by default: a script whose answer was lost would be applied again and again. Here nothing is ever
retried below the road.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, DataError, RedisError, ResponseError

# redis-py says that any answer may be bytes or text; without decoding all of ours are bytes, which it cannot express.
Store: TypeAlias = Any
Command: TypeAlias = Sequence[Any]  # its words, as texts, bytes and numbers

OLDEST = 7
CONNECT_SECONDS = 0.5
COMMANDS_AT_ONCE = 32
# One a tenant that is followed, each for a second: those beyond would wait for the others, for nothing.
READS_AT_ONCE = 8_192


class StoreUnsafeError(Exception):
    """The store is set up so that it could lose what it has confirmed."""


class StoreFacts(NamedTuple):
    """What the store says of itself."""

    version: str
    append_only: bool
    sync: str
    eviction: str
    replicas: int


class StoreConnections(NamedTuple):
    """One client for commands, which answer at once, and one for reads that wait."""

    commit: Store
    blocking: Store

    async def aclose(self) -> None:
        """Close both."""
        await self.commit.aclose()
        await self.commit.connection_pool.aclose()
        await self.blocking.aclose()
        await self.blocking.connection_pool.aclose()


class _Packing:
    """Writes commands in C, as redis-py itself does in blocking connections only: without, 500 keys cost four times as much."""

    def pack_command(self, *arguments: Any) -> list[bytes]:
        """Return a command as it is sent."""
        try:
            return [pack_command((*arguments[0].split(), *arguments[1:]))]  # "SCRIPT LOAD" is two words
        except TypeError as error:
            raise DataError(f"a command takes texts, bytes and numbers: {error}") from error


def connect(url: str, *, timeout_seconds: float) -> StoreConnections:
    """Return clients of the store at a URL; nothing is sent yet."""

    def client(connections: int, socket_seconds: float | None) -> Store:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=timeout_seconds,
            socket_timeout=socket_seconds,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        kind = pool.connection_class
        pool.connection_class = type(f"Packing{kind.__name__}", (_Packing, kind), {})
        return Redis(connection_pool=pool)

    return StoreConnections(client(COMMANDS_AT_ONCE, timeout_seconds), client(READS_AT_ONCE, None))


async def ask(client: Store, commands: Sequence[Command]) -> list[Any]:
    """Return the store's replies, refusals among them, from one round trip: all commands are sent before the first reply is read.

    On a connection of the client's, but past its pipelines: for two commands one costs half as much again, for what is not used here.
    """
    pool = client.connection_pool
    connection = await pool.get_connection()
    try:  # whatever fails on the way, a stop among it, closes the connection, so that no reply is ever taken for another's
        await connection.send_packed_command([packed for each in commands for packed in connection.pack_command(*each)])
        return [await _reply(connection) for _ in commands]
    finally:
        await pool.release(connection)


async def _reply(connection: Any) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as refusal:
        return refusal


async def check_store(client: Store, replicas: int = 0) -> StoreFacts:
    """Return what the store is; raises StoreUnsafeError when it could lose or forget what it has confirmed, with so many replicas.

    While it loads its data, it raises BusyLoadingError.
    """
    info: dict[str, Any] = await client.info()
    if info.get("loading"):  # until it has loaded its data, it says that it is not append-only
        raise BusyLoadingError("the store is loading its data")
    facts = StoreFacts(
        str(info.get("valkey_version") or info["redis_version"]),
        bool(info.get("aof_enabled")),
        await _setting(client, "appendfsync"),
        str(info.get("maxmemory_policy", "noeviction")),
        int(info.get("connected_slaves", 0)),
    )
    problems = []
    if int(facts.version.partition(".")[0]) < OLDEST:
        problems.append(f"version is {facts.version}, needed is {OLDEST} or newer")
    if not facts.append_only:
        problems.append("appendonly is no, needed is yes")
    if facts.sync not in ("always", "unknown"):
        problems.append(f"appendfsync is {facts.sync}, needed is always")
    if facts.eviction != "noeviction":
        problems.append(f"maxmemory-policy is {facts.eviction}, needed is noeviction")
    if info.get("role", "master") != "master":
        problems.append("it is a replica, needed is the primary")
    if facts.replicas > 0 and not replicas:
        problems.append(
            f"it has {facts.replicas} replicas, any of which may take over without what was confirmed last:"
            " say with KEEPWELL_STORE_REPLICAS how many have to confirm a commit, too"
        )
    if info.get("cluster_enabled"):
        problems.append("cluster mode is on, and this version speaks to a single server")
    if problems:
        raise StoreUnsafeError("the store is not safe: " + "; ".join(problems))
    return facts


async def _setting(client: Store, name: str) -> str:
    try:
        answer = await client.config_get(name)
    except RedisError:  # managed stores forbid CONFIG; their durability is the operator's contract
        return "unknown"
    return str(answer.get(name, "unknown"))
