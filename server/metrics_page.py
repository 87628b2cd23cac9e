"""The Prometheus page: of this process, or one for several that share a port.

Several write their values into files of a folder, which whoever serves the page adds up. What counts goes on counting when a process has died;
what tells how things are, such as open streams, ends with it.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from tempfile import TemporaryDirectory
from typing import NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, Counter, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead


class PageTakenError(Exception):
    """The page cannot be served there."""


class SharedPage(NamedTuple):
    """What serving processes have to have in their environment, and whom to tell when one has died, by its id."""

    variables: Mapping[str, str]
    died: Callable[[int], None]


@contextlib.contextmanager
def page(listen: str | None, registry: CollectorRegistry = REGISTRY) -> Iterator[None]:
    """Serve the page of a registry, if it is to be served anywhere.

    Raises:
        PageTakenError: Somebody else listens there, or nobody can.

    """
    if listen is None:
        yield
        return
    host, _, port = listen.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host, registry)
    except OSError as error:
        raise PageTakenError(f"metrics_listen {listen}: {error.strerror}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def shared_page(listen: str | None) -> Iterator[SharedPage]:
    """Serve one page for several processes; raises as `page` does."""
    registry = CollectorRegistry()
    deaths = Counter(
        "keepwell_processes_died", "Serving processes that died, or did not come up again.", registry=registry
    )
    with TemporaryDirectory(prefix="keepwell-metrics-") as folder, page(listen, registry):
        MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]

        def died(pid: int) -> None:
            mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
            deaths.inc()

        # Without a page nobody reads the files.
        yield SharedPage({"PROMETHEUS_MULTIPROC_DIR": folder} if listen else {}, died)
