"""The demo's store, as a process of its own: it starts the store again whenever that is killed. Arguments: its folder."""

import signal
import sys
import threading

from server.logs import configure_logs
from server.settings import Settings
from server.supervise import store_of


def main() -> None:
    """Print where the store listens, and keep it until SIGTERM."""
    configure_logs("info")
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    with store_of(Settings(data_dir=sys.argv[1])) as url:
        print(url, flush=True)
        ending.wait()


if __name__ == "__main__":
    main()
