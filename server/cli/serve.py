"""`keepwell serve`: the service, with its store beside it."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from server.caller import is_loopback
from server.settings import Settings
from server.supervise import run_many, run_one

Option = typer.Option


def settings_of(**options: Any) -> Settings:
    """Return the settings, options before variables; ends the program with what is wrong."""
    try:
        return Settings(**{name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        for detail in error.errors():
            typer.echo(f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}", err=True)
        raise typer.Exit(2) from error


def serve(
    listen: Annotated[str | None, Option(help="HOST:PORT; loopback only, default 127.0.0.1:50051")] = None,
    data_dir: Annotated[Path | None, Option(help="folder of the embedded store, default .keepwell")] = None,
    redis_url: Annotated[str | None, Option(help="your own store instead of the embedded one")] = None,
    policy: Annotated[Path | None, Option(help="policy of every tenant without one of its own")] = None,
    policy_dir: Annotated[Path | None, Option(help="folder of policies, one <tenant>.yaml each")] = None,
    events_dir: Annotated[
        Path | None, Option(help="folder of tenants' own types of events, one <tenant>.yaml each")
    ] = None,
    processes: Annotated[int | None, Option(help="serving processes that share the port")] = None,
    clock: Annotated[str | None, Option(help="store, or manual for tests: x-keepwell-now sets the time")] = None,
) -> None:
    """Start the service. Prints one line on stdout when it is ready; SIGTERM drains, SIGHUP reloads policies and types of events."""
    settings = settings_of(
        listen=listen,
        data_dir=data_dir,
        redis_url=redis_url,
        policy=policy,
        policy_dir=policy_dir,
        events_dir=events_dir,
        processes=processes,
        clock=clock,
    )
    if not is_loopback(settings.listen):
        typer.echo(
            "listen: without authentication the service listens on loopback only, such as 127.0.0.1:50051", err=True
        )
        raise typer.Exit(2)
    # A model that is damaged is stood in for, as it must not stop decisions; a folder that was never there is a mistake of whoever starts this.
    if settings.model_dir is not None and not settings.model_dir.is_dir():
        typer.echo(f"model_dir: {settings.model_dir} is no folder; name one that `keepwell train` wrote", err=True)
        raise typer.Exit(2)
    raise typer.Exit(run_one(settings) if settings.processes == 1 else run_many(settings))
