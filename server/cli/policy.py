"""`keepwell policy`: check, test and explain policies without a server."""

import json as json_module
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rules.compiler import compile_policy
from rules.diagnostics import PolicyInvalidError
from rules.policy_tests import read_tests, run_policy_tests
from rules.source import check_policy, content_hash, json_schema, read_policy
from server.cli.calling import Json
from server.documents import read_document

app = typer.Typer(no_args_is_help=True, help="Check, test and explain policies without a server.")
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="the policy")]
Parsed = TypeVar("Parsed")
console = Console()


def _read(file: Path, parse: Callable[[str], Parsed]) -> Parsed:
    """Return what a file says; ends with exit 1 and what is wrong with it, by line and column."""
    try:
        return parse(read_document(file))
    except PolicyInvalidError as error:
        for diagnostic in error.diagnostics:
            typer.echo(f"{file}:{diagnostic}", err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


@app.command()
def check(file: File, json: Json = False) -> None:
    """Say what is wrong or doubtful, by line and column; exit 1 for errors."""
    try:
        found = check_policy(read_document(file))
    except PolicyInvalidError as error:
        found = error.diagnostics
    if json:
        print(json_module.dumps([diagnostic._asdict() for diagnostic in found]))
    else:
        for diagnostic in found:
            typer.echo(f"{file}:{diagnostic}")
    if any(diagnostic.severity == "error" for diagnostic in found):
        raise typer.Exit(1)
    if not json:
        typer.echo(f"{file}: version {content_hash(_read(file, read_policy))}")


@app.command("test")
def run_tests(
    file: File, tests: Annotated[Path | None, typer.Option(help="default: <policy>_test.yaml")] = None
) -> None:
    """Run a policy's tests; exit 1 when one fails."""
    cases = tests or file.with_name(f"{file.stem}_test.yaml")
    results = run_policy_tests(_read(file, read_policy), _read(cases, read_tests))
    for result in results:
        console.print(f"{'[green]ok  [/]' if result.passed else '[red]FAIL[/]'} {escape(result.name)}", highlight=False)
        for difference in result.differences:
            console.print(f"       {escape(difference)}", highlight=False)
    failed = sum(not result.passed for result in results)
    typer.echo(f"{len(results) - failed} passed, {failed} failed")
    raise typer.Exit(1 if failed else 0)


@app.command()
def explain(file: File) -> None:
    """List the rules that a policy becomes, in the order in which they are evaluated."""
    document = _read(file, read_policy)
    compiled = compile_policy(document, content_hash(document))
    table = Table("rule", "is true when", title=f"{document.name}, version {compiled.version}")
    for rule in compiled.trace_rules:
        table.add_row(rule.name, escape(rule.condition))
    console.print(table)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a policy, for an editor."""
    print(json_module.dumps(json_schema(), indent=2))
