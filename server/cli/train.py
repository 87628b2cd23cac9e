"""`keepwell train`: a model from a simulated portfolio, an event log, or a feature table."""

from collections.abc import Callable
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

from server.cli.event_table import Columns
from server.cli.given import options_given
from server.cli.lead_table import LeadTableError
from server.cli.own_types import OwnTypes, types_in
from server.cli.table_file import TableFileError

if TYPE_CHECKING:
    from model.training.dataset import Dataset
    from model.training.dataset import Progress as Tell

COLUMNS = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
OF_A_LOG = (
    "leads",
    "lead",
    "time",
    "kind",
    "value",
    "event_id",
    "arrival",
    "default_type",
    "types",
    "churn_event",
    "contact_event",
)
Output = Annotated[Path, typer.Argument(help="folder of the artifact; serve it with KEEPWELL_MODEL_DIR")]
Events = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="event log: CSV, JSON lines (both also .gz) or Parquet"),
]
Table = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="feature table: the schema's columns, label, perhaps lead_id and as_of"
    ),
]
Horizon = Annotated[int, typer.Option(help="a lead that does nothing for so long has churned", min=7, max=365)]
Silence = Annotated[
    int | None,
    typer.Option(
        min=1, help="leads silent for longer are not asked about; by default, after it at most a quarter return"
    ),
]
Seed = Annotated[int, typer.Option(help="the same seed and data give the same bytes")]
Monotone = Annotated[bool, typer.Option(help="risk must rise with silence and fall with engagement")]
SimulatedLeads = Annotated[int, typer.Option(help="leads in the simulated portfolio", min=1_000, max=100_000)]
Leads = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="leads of the event log: ids and columns source, segment, region"),
]
Arrival = Annotated[str, typer.Option(help="column of times at which events became known, if there is one")]
EventId = Annotated[
    str, typer.Option(help="column of event ids, each of which counts once for a lead; without one, every row")
]
ChurnEvent = Annotated[
    str, typer.Option(help="type of the rows that say that a lead has left; by default silence is churn")
]
ContactEvent = Annotated[str, typer.Option(help="type of the rows that say that we contacted the lead")]


def train(
    context: typer.Context,
    output: Output,
    events: Events = None,
    table: Table = None,
    horizon_days: Horizon = 30,
    silence_days: Silence = None,
    seed: Seed = 7,
    monotone: Monotone = True,
    simulated_leads: SimulatedLeads = 6_000,
    leads: Leads = None,
    lead: Annotated[str, typer.Option(help="column of lead ids")] = "lead_id",
    time: Annotated[str, typer.Option(help="column of times")] = "occur_time",
    kind: Annotated[str, typer.Option("--type", help="column of types")] = "type",
    value: Annotated[str, typer.Option(help="column of amounts")] = "value",
    event_id: EventId = "event_id",
    arrival: Arrival = "receive_time",
    default_type: Annotated[str, typer.Option(help="type of rows without one")] = "",
    types: OwnTypes = None,
    churn_event: ChurnEvent = "",
    contact_event: ContactEvent = "",
) -> None:
    """Train a model, and print its card; without a file, on a simulated portfolio."""
    from model.training.dataset import from_simulator
    from server.cli.training_data import LogOptions, dataset_of_log, dataset_of_table
    from server.road.recording import FUTURE_TOLERANCE_MS

    if events and table:
        raise typer.BadParameter("give either --events or --table")
    _refuse_ignored(context, log=events is not None, table=table is not None)
    told = options_given(context, ("kind", "value", "event_id", "arrival"))
    columns = Columns(lead, time, kind, value, event_id)
    until = time_ns() // 1_000_000 + FUTURE_TOLERANCE_MS
    options = LogOptions(
        columns, default_type, arrival, churn_event, contact_event, types_in(types), leads, told, until
    )

    def data(tell: "Tell") -> "Dataset":
        if table:
            return dataset_of_table(table, horizon_days, seed)
        if events:
            return dataset_of_log(events, options, horizon_days, silence_days, tell)
        return from_simulator(simulated_leads, seed, horizon_days, silence_days, tell)

    _run(output, data, seed, monotone, f"{events or table or 'simulator'}")


def _refuse_ignored(context: typer.Context, *, log: bool, table: bool) -> None:
    """End the program with exit 2 for an option that says nothing about what is trained on."""
    ignored = {
        "only with --events, as it says more about an event log": [] if log else OF_A_LOG,
        "not with --table, whose rows are chosen already": ["silence_days"] if table else [],
        "only without --events and --table": ["simulated_leads"] if log or table else [],
    }
    for why, names in ignored.items():
        given = options_given(context, names)
        if given:
            typer.echo(f"{', '.join(given)}: {why}", err=True)
            raise typer.Exit(2)


def _run(output: Path, data: "Callable[[Tell], Dataset]", seed: int, monotone: bool, source: str) -> None:
    from model.training.errors import TrainingDataError
    from model.training.fit import Settings
    from model.training.train import train as run

    try:
        with Progress(*COLUMNS) as progress:
            bar = progress.add_task("reading", total=1.0)

            def tell(what: str, share: float) -> None:
                progress.update(bar, description=what, completed=share)

            run(output, data(tell), Settings(seed, monotone), tell)
    except LeadTableError as error:
        typer.echo(f"--leads: {error}", err=True)
        raise typer.Exit(2) from error
    except (TableFileError, TrainingDataError) as error:
        typer.echo(f"{source}: {error}", err=True)
        raise typer.Exit(2) from error
    Console().print(Markdown((output / "CARD.md").read_text()))
    typer.echo(f"{output / 'report.html'} shows the curves")
