"""What `keepwell serve` runs: the embedded store, and beside it one serving process, or several that share the port."""

import asyncio
import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator

import structlog
import typer

from server.logs import configure_logs
from server.processes import PortTakenError, Processes, reserved
from server.settings import Settings
from server.store.binary import NoStoreBinaryError
from server.store.embedded import EmbeddedStore, StoreLockedError, StoreStartError

WATCH_SECONDS = 0.2
log = structlog.get_logger()


@contextlib.contextmanager
def store_of(settings: Settings) -> Iterator[str]:
    """Run the embedded store, watched, unless there is a store already; yield its URL."""
    if settings.redis_url is not None:
        yield settings.redis_url
        return
    try:
        store = EmbeddedStore.start(settings.data_dir / "store", settings.store_binary)
    except (StoreLockedError, StoreStartError, NoStoreBinaryError) as error:
        typer.echo(f"store: {error}", err=True)
        raise typer.Exit(1) from error
    ending = threading.Event()
    watcher = threading.Thread(target=_watch, args=(store, ending), daemon=True)
    watcher.start()
    try:
        yield store.url
    finally:
        ending.set()
        watcher.join()
        store.stop()


def _watch(store: EmbeddedStore, ending: threading.Event) -> None:
    """Start the store again whenever it dies."""
    while not ending.wait(WATCH_SECONDS):
        try:
            if store.ensure_running():
                log.error("store_restarted", pid=store.pid)
        except StoreStartError as error:
            log.error("store_down", error=str(error))  # noqa: TRY400 (the reason is the message)


def run_one(settings: Settings) -> int:
    """Serve in this process; return the exit code."""
    configure_logs(settings.log_level)
    with store_of(settings) as url:
        return serve_here(settings, url)


def serve_here(settings: Settings, store_url: str) -> int:
    """Serve on a store that runs already; return the exit code."""
    import uvloop
    from prometheus_client import start_http_server

    from rules.diagnostics import PolicyInvalidError
    from server.app import serve
    from server.store.connection import StoreUnsafeError

    def ready(port: int) -> None:
        _say_ready(f"{settings.listen.rpartition(':')[0]}:{port}")

    # What was loaded by now stays; a batch makes many objects that die at once, which the collector need not look through.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    if settings.metrics_listen is not None:
        host, _, port = settings.metrics_listen.rpartition(":")
        start_http_server(int(port), host)
    try:
        uvloop.run(serve(settings, store_url, ready))
    except (PolicyInvalidError, StoreUnsafeError, OSError, RuntimeError) as error:
        typer.echo(f"cannot serve: {error}", err=True)
        return 1
    return 0


def run_many(settings: Settings) -> int:
    """Serve in several processes that share the port; this one keeps the store and them. Return the exit code."""
    configure_logs(settings.log_level)
    try:
        with reserved(settings.listen) as listen, store_of(settings) as url:
            variables = _variables(settings) | {"KEEPWELL_LISTEN": listen, "KEEPWELL_REDIS_URL": url}
            processes = Processes(settings.processes, {**os.environ, **variables})
            return asyncio.run(processes.run(lambda: _say_ready(listen)))
    except PortTakenError as error:
        typer.echo(f"cannot serve: {error}", err=True)
        return 1


def _say_ready(listen: str) -> None:
    print(f"keepwell is ready on {listen}", flush=True)


def _variables(settings: Settings) -> dict[str, str]:
    return {f"KEEPWELL_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}


def main() -> int:
    """Serve as one of several; settings and store come from the environment."""
    settings = Settings()
    configure_logs(settings.log_level)
    return serve_here(settings, settings.redis_url or "")


if __name__ == "__main__":
    sys.exit(main())
