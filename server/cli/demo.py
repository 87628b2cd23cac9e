"""`keepwell demo`: a simulated portfolio, played day by day over real gRPC against a real server and store, watched on the feed."""

import contextlib
import os
import socket
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

VERIFIED = 25
# The demo asks about every lead every day, and counts what it asked for.
ASKED_ONLY = {**os.environ, "KEEPWELL_REVIEWS": "false"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """Run a server of its own, on data of its own, that nobody sees afterwards."""
    address = f"127.0.0.1:{_free_port()}"
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
    leads: Annotated[int, typer.Option(help="leads in the portfolio", min=1, max=20_000)] = 1_000,
    days: Annotated[int, typer.Option(help="days to play", min=1, max=60)] = 10,
    seed: Annotated[int, typer.Option(help="the same seed plays the same portfolio")] = 7,
    headless: Annotated[bool, typer.Option("--headless", help="no live screen, the summary only")] = False,
) -> None:
    """Play a portfolio of leads that go quiet, and show what the service decides."""
    import grpc

    console = Console()
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
