"""`keepwell train`: a model from a simulated portfolio."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress


def train(
    output: Annotated[Path, typer.Argument(help="folder of the artifact; serve it with KEEPWELL_MODEL_DIR")],
    seed: Annotated[int, typer.Option(help="the same seed gives the same bytes")] = 7,
    leads: Annotated[int, typer.Option(help="leads in the simulated portfolio", min=1_000, max=100_000)] = 6_000,
) -> None:
    """Train a model, and print its card."""
    from model.train import train as run

    with Progress() as progress:
        bar = progress.add_task("training", total=1.0)
        run(
            output,
            seed=seed,
            leads=leads,
            progress=lambda what, share: progress.update(bar, description=what, completed=share),
        )
    Console().print((output / "CARD.md").read_text(), highlight=False)
