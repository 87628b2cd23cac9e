"""The option for a tenant's own types of events, as `--events-dir` holds them for serving."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from model.events import CORE, EventType
from rules.diagnostics import PolicyInvalidError
from server.event_types import types_of_file

OwnTypes = Annotated[Path | None, typer.Option(help="the tenant's own types of events", exists=True, dir_okay=False)]


def types_in(file: Path | None) -> Mapping[str, EventType]:
    """Return everybody's types and those that a file declares; says what is wrong with it by line and column, and ends with exit 1."""
    if file is None:
        return CORE
    try:
        return types_of_file(file)
    except PolicyInvalidError as error:
        for diagnostic in error.diagnostics:
            typer.echo(f"{file}:{diagnostic}", err=True)
        raise typer.Exit(1) from error
