"""What `keepwell serve` runs: the embedded store, and beside it one serving process, or several that share the port."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator

import structlog
import typer

from server.logs import configure_logs
from server.metrics_page import PageTakenError, page, shared_page
from server.native import ChangedSinceCompiledError, check_compiled
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
    except OSError as error:
        typer.echo(f"store: data_dir: {error}", err=True)
        raise typer.Exit(1) from error
    watcher = threading.Thread(target=_watch, args=(store,), daemon=True)
    watcher.start()
    try:
        yield store.url
    finally:
        store.ending.set()
        watcher.join()
        store.stop()


def _watch(store: EmbeddedStore) -> None:
    """Start the store again whenever it dies."""
    while not store.ending.wait(WATCH_SECONDS):
        try:
            if store.ensure_running():
                log.error("store_restarted", pid=store.pid)
        except (StoreStartError, OSError) as error:  # no file or process left is no reason to give up
            log.error("store_down", error=str(error))  # noqa: TRY400 (the reason is the message)


def run_one(settings: Settings) -> int:
    """Serve in this process; return the exit code."""
    configure_logs(settings.log_level)
    try:
        with page(settings.metrics_listen), store_of(settings) as url:
            return serve_here(settings, url)
    except (PageTakenError, OSError) as error:
        return _cannot_serve(error)


def serve_here(settings: Settings, store_url: str) -> int:
    """Serve on a store that runs already; return the exit code."""
    import uvloop
    from redis.exceptions import RedisError

    from server.app import serve
    from server.documents import DocumentRefusedError
    from server.store.connection import StoreUnsafeError

    def ready(port: int) -> None:
        _say_ready(f"{settings.listen.rpartition(':')[0]}:{port}")

    # What was loaded by now stays; a batch makes many objects that die at once, which the collector need not look through.
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    try:
        log.info("code_checked", compiled_modules=check_compiled())
        uvloop.run(serve(settings, store_url, ready))
    except DocumentRefusedError as error:
        return _cannot_serve(*str(error).splitlines())
    except (ChangedSinceCompiledError, StoreUnsafeError, OSError, RuntimeError) as error:
        return _cannot_serve(error)
    except RedisError as error:
        return _cannot_serve(f"{_store_named(settings)}: {error}")
    return 0


def run_many(settings: Settings) -> int:
    """Serve in several processes that share the port; this one keeps the store and them. Return the exit code."""
    configure_logs(settings.log_level)
    try:
        with (
            reserved(settings.listen) as listen,
            shared_page(settings.metrics_listen) as shared,
            store_of(settings) as url,
        ):
            own = {"KEEPWELL_LISTEN": listen, "KEEPWELL_REDIS_URL": url, **shared.variables}
            environment = {**os.environ, **_variables(settings), **own}
            processes = Processes(settings.processes, environment, settings.drain_seconds, shared.died)
            return asyncio.run(processes.run(lambda: _say_ready(listen)))
    except (PortTakenError, PageTakenError, OSError) as error:
        return _cannot_serve(error)


def _store_named(settings: Settings) -> str:
    """Return the setting that says which store it is, without a password; the embedded one's log says more than its answer does."""
    folder = settings.data_dir.resolve() / "store"
    if settings.redis_url in (None, f"unix://{folder / 'store.sock'}"):
        return f"data_dir: the embedded store, whose log is {folder / 'store.log'}"
    return "redis_url"


def _cannot_serve(*errors: Exception | str) -> int:
    for error in errors:
        typer.echo(f"cannot serve: {error}", err=True)
    return 1


def _say_ready(listen: str) -> None:
    print(f"keepwell is ready on {listen}", flush=True)


def _variables(settings: Settings) -> dict[str, str]:
    return {f"KEEPWELL_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()}


def main() -> int:
    """Serve as one of several; settings and store come from the environment."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    settings = Settings()
    configure_logs(settings.log_level)
    return serve_here(settings, settings.redis_url or "")


if __name__ == "__main__":
    sys.exit(main())
