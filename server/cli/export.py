"""`keepwell export`: the decision log as Parquet files, which outlive the store's retention."""

import asyncio
import contextlib
import json as json_module
import signal
from pathlib import Path
from typing import Annotated

import typer
from redis.exceptions import RedisError
from rich.console import Console

from server.cli.calling import Json
from server.cli.serve import settings_of
from server.logs import configure_logs
from server.settings import Settings

Option = typer.Option
console = Console()


def export(
    to: Annotated[Path | None, Option(help="folder to write to, or KEEPWELL_EXPORT_DIR")] = None,
    follow: Annotated[bool, Option("--follow", help="go on until SIGTERM instead of ending with the log")] = False,
    every_seconds: Annotated[float, Option(help="how often a follower writes", min=0.1, max=3_600)] = 60.0,
    rows: Annotated[int, Option(help="decisions in a file at most", min=1, max=100_000)] = 10_000,
    data_dir: Annotated[Path | None, Option(help="folder of the server's embedded store, default .keepwell")] = None,
    redis_url: Annotated[str | None, Option(help="the store, when it is your own")] = None,
    json: Json = False,
) -> None:
    """Write what was decided since the last export: Parquet by tenant and day, each decision exactly once.

    Reads the store, beside the server. The files hold personal data, as the store does. Ends with 3 when retention was faster than the export.
    """
    settings = settings_of(export_dir=to, data_dir=data_dir, redis_url=redis_url)
    if settings.export_dir is None:
        typer.echo("--to: name the folder to write to, or set KEEPWELL_EXPORT_DIR", err=True)
        raise typer.Exit(2)
    configure_logs(settings.log_level)
    from server.cold.export import ExportLockedError, sole_writer

    try:
        with sole_writer(settings.export_dir):
            gaps = asyncio.run(_run(settings, settings.export_dir, rows, every_seconds if follow else None, json=json))
    except (ExportLockedError, RedisError, OSError) as error:
        typer.echo(f"export: {error}", err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(3 if gaps else 0)


async def _run(settings: Settings, root: Path, rows: int, every_seconds: float | None, *, json: bool) -> int:
    """Export once, or again and again; return how many gaps there were."""
    from server.cold.export import Export
    from server.store.connection import connect

    store = connect(store_url(settings), timeout_seconds=settings.store_timeout_seconds)
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    export, gaps = Export(store.commit, root, rows), 0
    try:
        while True:
            async for written in export.turn():
                gaps += written.gap
                if json:
                    print(json_module.dumps({**written._asdict(), "path": str(written.path)}), flush=True)
                else:
                    console.print(f"{written.decisions:>7,}  {written.path}", highlight=False, soft_wrap=True)
                if written.gap:
                    typer.echo(f"{written.path}: decisions before it were removed before they were exported", err=True)
            if every_seconds is None or ending.is_set():
                return gaps
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ending.wait(), every_seconds)
    finally:
        await store.aclose()


def store_url(settings: Settings) -> str:
    """Return where the store listens; ends the program when the embedded one is not running."""
    if settings.redis_url is not None:
        return settings.redis_url
    socket = (settings.data_dir / "store" / "store.sock").resolve()
    if not socket.exists():
        typer.echo(
            f"no store runs in {settings.data_dir}: start keepwell serve, or name yours with --redis-url", err=True
        )
        raise typer.Exit(1)
    return f"unix://{socket}"
