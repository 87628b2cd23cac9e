"""When a broken stream is opened again, and when it is given up. No I/O and no clock: the caller says what time it is, and waits itself."""

import random

from keepwell_client.errors import KeepwellError, SlowReaderError

PATIENCE_SECONDS = 300.0
FIRST_SECONDS, LONGEST_SECONDS = 0.1, 5.0
ALIVE_SECONDS = 60.0  # no attempt to connect takes so long, so a stream that lasted was one, even if nothing came


class Reconnect:
    """Delays that grow while streams break one after the other.

    Args:
        patience_seconds: For how long that may go on.
        now: In seconds, of any clock that never goes back.

    """

    def __init__(self, patience_seconds: float, now: float) -> None:
        self._patience = patience_seconds
        self._opened_at = self._failing_since = now
        self._arrived = False
        self._delay = FIRST_SECONDS

    def opened(self, now: float) -> None:
        """Note that a stream is being opened."""
        self._opened_at = now

    def arrived(self) -> None:
        """Note that something arrived on the stream."""
        self._arrived = True

    def delay(self, error: KeepwellError | None, now: float) -> float:
        """Return after how many seconds to open the stream again; it ended with the error, or, without one, because the service drains.

        Raises:
            KeepwellError: The error, when opening again would not help or has not helped for too long.

        """
        if self._arrived or now - self._opened_at > ALIVE_SECONDS:
            self._arrived, self._failing_since, self._delay = False, now, FIRST_SECONDS
        if error and not (error.is_transient or isinstance(error, SlowReaderError)):
            raise error
        if error and now - self._failing_since > self._patience:
            raise error
        delay = max(self._delay * random.uniform(0.5, 1.0), (error and error.retry_seconds) or 0.0)
        self._delay = min(2 * self._delay, LONGEST_SECONDS)
        return delay
