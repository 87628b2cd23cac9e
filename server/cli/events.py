"""`keepwell events`: bring in what leads did, and check a tenant's own types of events."""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, timedelta
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated

import typer
from keepwell.v1 import lead_pb2, lead_service_pb2, lead_service_pb2_grpc
from rich.progress import MofNCompleteColumn, Progress

from model.event_document import json_schema
from model.events import CORE
from server.cli.calling import DEADLINE_SECONDS, DEFAULT_SERVER, Server, Tenant, channel_to, metadata_of
from server.cli.event_spool import EventSpool
from server.cli.event_table import SHOWN_FAULTS, Columns, EventRow, faults_error, read_events
from server.cli.given import options_given
from server.cli.own_types import OwnTypes, types_in
from server.cli.table_file import TableFileError
from server.services.event_service import RECORD_EVENTS

app = typer.Typer(help="Bring in what leads did; check types of events.", no_args_is_help=True)
Stub = lead_service_pb2_grpc.LeadServiceStub


@app.callback()
def events() -> None:
    """Bring in what leads did; check types of events."""


@app.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="CSV, JSON lines (both also .gz) or Parquet", exists=True, dir_okay=False)
    ],
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    lead: Annotated[str, typer.Option(help="column of lead ids")] = "lead_id",
    time: Annotated[str, typer.Option(help="column of times")] = "occur_time",
    kind: Annotated[str, typer.Option("--type", help="column of types")] = "type",
    value: Annotated[str, typer.Option(help="column of amounts")] = "value",
    event_id: Annotated[str, typer.Option(help="column of event ids; without one, file name and row")] = "event_id",
    default_type: Annotated[str, typer.Option(help="type of rows without one")] = "",
    types: OwnTypes = None,
    replay_clock: Annotated[
        bool, typer.Option("--replay-clock", help="move a manual clock along with the events (development)")
    ] = False,
) -> None:
    """Send a file of events, earliest first; run it again to go on after a failure: what is known already counts once."""
    known = types_in(types)
    told = options_given(context, ("kind", "value", "event_id"))
    done = _Position(file, server, tenant)
    tally = _Tally()
    with EventSpool() as spool, channel_to(server) as channel, _progress() as progress:
        try:
            rows = read_events(file, Columns(lead, time, kind, value, event_id), default_type, known, told)
            _check_all(progress.track(rows, description="checking"), spool)
        except TableFileError as error:
            progress.stop()
            typer.echo(f"{file}: {error}", err=True)
            raise typer.Exit(2) from error
        bar = progress.add_task("sending", total=spool.count, completed=done.events)
        rest = islice(spool.events(), done.events, None)
        for batch in _batches(rest, by_day=replay_clock):
            tally.add(batch, _send(Stub(channel), batch, tenant, replay_clock=replay_clock))
            done.move(len(batch))
            progress.advance(bar, len(batch))
    done.clear()
    typer.echo(f"{tally.accepted:,} recorded, {tally.duplicates:,} known already, {tally.refused:,} refused")
    for refusal in tally.refusals:
        typer.echo(f"  {refusal}", err=True)
    raise typer.Exit(1 if tally.refused else 0)


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="a tenant's own types of events", exists=True, dir_okay=False)],
) -> None:
    """Say what is wrong with a tenant's types of events, by line and column; exit 1 for errors."""
    own = [kind for name, kind in types_in(file).items() if name not in CORE]
    for kind in own:
        typer.echo(f"{kind.name}: {kind.meaning}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of a tenant's types of events, for an editor."""
    print(json.dumps(json_schema(), indent=2))


def _progress() -> Progress:
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    return Progress(*columns, disable=not sys.stdout.isatty())


def _check_all(rows: Iterable[EventRow | str], spool: EventSpool) -> None:
    """Put every row's event aside; raises TableFileError with the first ten rows that are none."""
    faults: list[str] = []
    faulty = 0
    for found in rows:
        if isinstance(found, str):
            faulty += 1
            faults = [*faults, found][:SHOWN_FAULTS]
        else:
            spool.add(found.event)
    if faulty:
        raise faults_error(faulty, spool.count + faulty, faults)


class _Tally:
    """What became of the events."""

    def __init__(self) -> None:
        self.accepted = self.duplicates = self.refused = 0
        self.refusals: list[str] = []  # the first ten

    def add(self, batch: list[lead_pb2.LeadEvent], answer: lead_service_pb2.RecordEventsResponse) -> None:
        self.accepted += answer.accepted
        self.duplicates += answer.duplicates
        self.refused += len(answer.rejected)
        told = [f"{batch[item.index].event_id}: {item.status.message}" for item in answer.rejected]
        self.refusals = [*self.refusals, *told][:SHOWN_FAULTS]


class _Position:
    """How far an import of this very file to this tenant came, in a file beside it, until it is complete."""

    def __init__(self, file: Path, server: str, tenant: str) -> None:
        self._path = file.with_name(file.name + ".imported")
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, partial(hashlib.blake2b, digest_size=16))
        digest.update(f"{server} {tenant}".encode())
        self._import = digest.hexdigest()
        known, _, events = self._path.read_text().partition(" ") if self._path.exists() else ("", "", "")
        self.events = int(events) if known == self._import else 0

    def move(self, events: int) -> None:
        self.events += events
        self._path.write_text(f"{self._import} {self.events}")

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def _batches(events: Iterable[lead_pb2.LeadEvent], *, by_day: bool) -> Iterator[list[lead_pb2.LeadEvent]]:
    """Yield the events in calls' worth; by day when the clock moves along."""
    for _, group in groupby(events, key=lambda event: event.occur_time.seconds // 86_400 if by_day else 0):
        while batch := list(islice(group, RECORD_EVENTS)):
            yield batch


def _send(
    stub: Stub, batch: list[lead_pb2.LeadEvent], tenant: str, *, replay_clock: bool
) -> lead_service_pb2.RecordEventsResponse:
    metadata = metadata_of(tenant)
    if replay_clock:
        now = batch[-1].occur_time.ToDatetime(UTC) + timedelta(seconds=1)
        metadata = (*metadata, ("x-keepwell-now", now.isoformat()))
    request = lead_service_pb2.RecordEventsRequest(events=batch)
    return stub.RecordEvents(request, metadata=metadata, timeout=DEADLINE_SECONDS)
