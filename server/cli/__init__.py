"""The `keepwell` command."""

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
    app()
