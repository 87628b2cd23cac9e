"""What a caller learns when the store fails under a call that reads."""

import contextlib
from collections.abc import Iterator

from redis.exceptions import RedisError, ResponseError

from server.errors import StateUnavailableError


@contextlib.contextmanager
def store_errors(advice: str = "") -> Iterator[None]:
    """Turn the store's errors into the caller's."""
    try:
        yield
    except ResponseError as error:
        # Its kind alone, such as OutOfMemoryError: the text may hold keys, and those leads.
        raise StateUnavailableError(f"the store refuses it: {type(error).__name__}{advice}") from error
    except (RedisError, OSError) as error:
        raise StateUnavailableError(f"the store cannot be reached{advice}") from error
