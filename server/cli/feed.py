"""`keepwell feed`: try what the feed promises on a running service."""

import asyncio
import json as json_module
from typing import Annotated

import typer
from grpc import aio
from rich.console import Console
from rich.table import Table

from server.cli.calling import DEFAULT_SERVER, Json, Server, checked_tenant, explain
from server.conformance.feed_checks import FeedCheck, Finding

app = typer.Typer(help="Try what the feed promises.", no_args_is_help=True)
WORDS = {True: "[green]kept[/]", False: "[red]BROKEN[/]", None: "[yellow]skipped[/]"}
console = Console()


@app.callback()
def feed() -> None:
    """Try what the feed promises."""


@app.command()
def check(
    server: Server = DEFAULT_SERVER,
    tenant: Annotated[
        str,
        typer.Option(help="the check's own tenant: it makes decisions about leads of its own", callback=checked_tenant),
    ] = "feed-check",
    decisions: Annotated[int, typer.Option(help="decisions to make", min=2, max=1_000)] = 40,
    old_token: Annotated[
        str, typer.Option(help="a token without filter that retention has passed; without one expiry is not tried")
    ] = "",
    json: Json = False,
) -> None:
    """Check order, completeness, resumption, checkpoints and refusals; exit 1 when a promise is broken."""
    findings: list[Finding] = []
    try:
        asyncio.run(_run(server, tenant, decisions, old_token, findings))
    except aio.AioRpcError as error:
        typer.echo(explain(error), err=True)
        raise typer.Exit(1) from error
    if json:
        print(json_module.dumps([finding._asdict() for finding in findings]))
    else:
        console.print(_table(findings, server))
    raise typer.Exit(1 if any(finding.kept is False for finding in findings) else 0)


async def _run(server: str, tenant: str, decisions: int, old_token: str, findings: list[Finding]) -> None:
    async with aio.insecure_channel(server) as channel:
        async for finding in FeedCheck(channel, tenant, decisions, old_token).findings():
            findings.append(finding)


def _table(findings: list[Finding], server: str) -> Table:
    table = Table("promise", "", "seen", title=f"The feed of {server}")
    for finding in findings:
        table.add_row(finding.promise, WORDS[finding.kept], finding.detail)
    return table
