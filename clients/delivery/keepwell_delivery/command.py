"""`keepwell-deliver`: delivers what a subscription hands out, until it is stopped."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from keepwell_client import AsyncClient, KeepwellError
from prometheus_client import start_http_server

from keepwell_delivery.config import Config, ConfigError, load
from keepwell_delivery.logs import configure_logs
from keepwell_delivery.templates import Templates, TemplatesError
from keepwell_delivery.worker import work


def deliver(
    server: Annotated[str, typer.Option(help="HOST:PORT of the service")],
    config: Annotated[Path, typer.Option(help="the configuration, such as delivery.yaml")],
    subscription: Annotated[str, typer.Option(help="its workers share the work")] = "delivery",
    tenant: Annotated[str, typer.Option(help="whose leads; empty for the service's default")] = "",
    metrics_listen: Annotated[str, typer.Option(help="HOST:PORT of a Prometheus page; empty for none")] = "",
    check: Annotated[bool, typer.Option("--check", help="check configuration and templates, and end")] = False,
) -> None:
    """Carry out a tenant's decisions. Prints one line when it is ready; SIGTERM ends it after what is in hand."""
    configure_logs()
    try:
        settings = load(config)
        if check:
            Templates(settings.templates)
            return
        if metrics_listen:
            _publish_metrics(metrics_listen)
        asyncio.run(_run(settings, server, subscription, tenant))
    except (ConfigError, TemplatesError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except KeepwellError as error:
        typer.echo(f"{server}: {error}", err=True)
        raise typer.Exit(1) from error


def _publish_metrics(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    try:
        start_http_server(int(port), host)
    except (OSError, OverflowError, ValueError) as error:  # in use, beyond 65535, no number
        raise ConfigError(f"--metrics-listen {listen}: must be HOST:PORT that nobody listens on ({error})") from error


async def _run(config: Config, server: str, subscription: str, tenant: str) -> None:
    async with AsyncClient(server, tenant) as keepwell:
        await work(config, keepwell, subscription, lambda: print("keepwell-deliver is ready", flush=True))


def main() -> None:
    """Run the command line."""
    typer.run(deliver)


if __name__ == "__main__":
    main()
