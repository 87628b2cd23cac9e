"""Which options of a command somebody gave: one that names nothing is refused then, while a default may well name nothing."""

from collections.abc import Iterable
from typing import Any

import typer


def options_given(context: typer.Context, names: Iterable[str]) -> dict[str, Any]:
    """Return the values of those of a command's parameters that were given, by their options, such as `--event-id`."""
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    given = [name for name in names if (source := context.get_parameter_source(name)) and source.name != "DEFAULT"]
    return {options[name]: context.params[name] for name in given}
