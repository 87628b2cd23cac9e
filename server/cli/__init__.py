"""The `keepwell` command."""

import signal
import sys

# The imports take half a second. A service is not ended by a reload that comes before them, which has nothing to read again yet, and Ctrl-C
# shows nobody where they were.
if sys.argv[1:2] == ["serve"]:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

import typer

from server.cli import ask, events, export, feed, model, policy, serve, train
from server.cli.demo import demo

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Decides whom to contact, and never contacts too often."
)
app.command()(serve.serve)
app.command()(demo)
app.command()(ask.decide)
app.command()(ask.watch)
app.command()(ask.lead)
app.command()(ask.verify)
app.command()(train.train)
app.command()(export.export)
app.add_typer(events.app, name="events")
app.add_typer(feed.app, name="feed")
app.add_typer(model.app, name="model")
app.add_typer(policy.app, name="policy")


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    app()
