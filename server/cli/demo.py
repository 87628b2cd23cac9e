"""`keepwell demo`: a simulated portfolio, played day by day over real gRPC against a real server and store, watched on the feed."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from server.cli.demo_audit import over_contacted
from server.cli.demo_feed import FeedTally
from server.cli.demo_portfolio import DemoPortfolio
from server.cli.demo_screen import screen, summary
from server.cli.free_port import free_port

VERIFIED = 25
# The demo asks about every lead every day, and counts what it asked for.
ASKED_ONLY = {**os.environ, "KEEPWELL_REVIEWS": "false"}


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """Run a server of its own, on data of its own, that nobody sees afterwards."""
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="keepwell-demo-") as folder:
        command = [
            sys.executable,
            "-m",
            "server",
            "serve",
            "--listen",
            address,
            "--data-dir",
            folder,
            "--clock",
            "manual",
        ]
        with (
            open(f"{folder}/server.log", "w") as log,  # noqa: PTH123 (a child writes to it)
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=ASKED_ONLY) as process,
        ):
            try:
                if not process.stdout or not process.stdout.readline():
                    with open(f"{folder}/server.log") as written:  # noqa: PTH123 (as above)
                        typer.echo(f"the server did not start:\n{written.read()[-2_000:]}", err=True)
                    raise typer.Exit(1)
                yield address
            finally:
                process.terminate()
                process.wait(30)


def demo(
    leads: Annotated[
        int | None, typer.Option(help="leads in the portfolio, default 1,000; 300 with --deliver", min=1, max=20_000)
    ] = None,
    days: Annotated[int | None, typer.Option(help="days to play, default 10; 20 with --deliver", min=1, max=60)] = None,
    seed: Annotated[int, typer.Option(help="the same seed plays the same portfolio")] = 7,
    headless: Annotated[bool, typer.Option("--headless", help="no live screen, the summary only")] = False,
    deliver: Annotated[
        bool, typer.Option("--deliver", help="nobody asks; workers mail, call and text what is decided")
    ] = False,
    chaos: Annotated[
        float, typer.Option(help="with --deliver: kill workers, server and store at random for so many seconds", min=0)
    ] = 0,
) -> None:
    """Play a portfolio of leads that go quiet, and show what the service decides."""
    console = Console()
    if deliver:
        raise typer.Exit(0 if _delivered(console, leads or 300, days or 20, seed, chaos, headless=headless) else 1)
    if chaos:
        raise typer.BadParameter("needs --deliver", param_hint="--chaos")
    _asked(console, leads or 1_000, days or 10, seed, headless=headless)


def _delivered(console: Console, leads: int, days: int, seed: int, chaos: float, *, headless: bool) -> bool:
    try:
        from server.cli.delivery_demo.command import deliver_demo
    except ModuleNotFoundError as error:
        typer.echo(f"--deliver needs {error.name}: pip install 'keepwell[deliver]'", err=True)
        raise typer.Exit(2) from error
    console.print(f"Starting a store, a server, two delivery workers and a mailbox, and {leads:,} simulated leads …")
    return deliver_demo(console, leads, days, seed, chaos, headless=headless)


def _asked(console: Console, leads: int, days: int, seed: int, *, headless: bool) -> None:
    """Ask about every lead every day."""
    import grpc

    console.print(f"Starting a store and a server, and {leads:,} simulated leads …")
    with _server() as address, grpc.insecure_channel(address) as channel:
        started = time.monotonic()
        portfolio = DemoPortfolio(channel, leads, days, seed)
        portfolio.introduce()
        tally = FeedTally(channel)
        with (
            Live(screen(tally, portfolio), console=console, refresh_per_second=8, transient=True)
            if not headless
            else contextlib.nullcontext() as live
        ):
            for _ in portfolio.play():
                if live is not None:
                    live.update(screen(tally, portfolio))
        tally.finish(portfolio.decided)
        verified = portfolio.verify(tally.decision_ids[:: max(len(tally.decision_ids) // VERIFIED, 1)])
        broken = over_contacted(tally.contacts, portfolio.zones)
        console.print(summary(tally, portfolio, verified, broken, time.monotonic() - started))
    complete = tally.received == portfolio.decided and not portfolio.refused
    raise typer.Exit(0 if complete and not broken and verified[0] == verified[1] else 1)
