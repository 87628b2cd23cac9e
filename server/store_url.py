"""What the URL of a store must be. No message repeats any of it: a password may stand in whichever part was misread."""

from urllib.parse import urlsplit

SCHEMES = ("redis", "rediss", "unix")


def check_store_url(url: str) -> None:
    """Return nothing for a URL that the store's client can use as it is meant; raises ValueError with what is allowed."""
    from redis.asyncio import BlockingConnectionPool

    if url.partition("://")[0] not in SCHEMES or "://" not in url:
        raise ValueError("must be redis://HOST:PORT/DATABASE, rediss://HOST:PORT/DATABASE or unix:///PATH")
    try:
        parts = urlsplit(url)
        pool = BlockingConnectionPool.from_url(url)
    except ValueError:
        # Without its cause, which would show what it took for a port.
        raise ValueError(
            "cannot be read: in a user's name or password, / is %2F, ? is %3F, # is %23 and % is %25; a port is 1 to 65535"
        ) from None
    if parts.scheme == "unix":
        if parts.hostname or not parts.path:
            raise ValueError("must name a socket by its whole path, such as unix:///run/valkey.sock")
    elif parts.path not in ("", "/") and not parts.path.removeprefix("/").isdecimal():
        raise ValueError("must end with the number of a database, such as redis://127.0.0.1:6379/0")
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError:
        raise ValueError("has an option after ? that the store's client does not know") from None
