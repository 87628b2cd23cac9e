"""`keepwell events`: bring in what leads did."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from keepwell.v1 import lead_pb2, lead_service_pb2, lead_service_pb2_grpc
from rich.progress import MofNCompleteColumn, Progress

from server.cli.calling import DEADLINE_SECONDS, DEFAULT_SERVER, Server, Tenant, channel_to, metadata_of
from server.cli.event_table import Columns, read_events
from server.cli.table_file import TableFileError
from server.services.event_service import RECORD_EVENTS

app = typer.Typer(help="Bring in what leads did.", no_args_is_help=True)
Stub = lead_service_pb2_grpc.LeadServiceStub
SHOWN_REFUSALS = 10


@app.callback()
def events() -> None:
    """Bring in what leads did."""


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, JSON lines (both also .gz) or Parquet", exists=True)],
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    lead: Annotated[str, typer.Option(help="column of lead ids")] = "lead_id",
    time: Annotated[str, typer.Option(help="column of times")] = "occur_time",
    kind: Annotated[str, typer.Option("--type", help="column of types")] = "type",
    value: Annotated[str, typer.Option(help="column of amounts")] = "value",
    event_id: Annotated[str, typer.Option(help="column of event ids; without one, file name and row")] = "event_id",
    default_type: Annotated[str, typer.Option(help="type of rows without one")] = "",
    replay_clock: Annotated[
        bool, typer.Option("--replay-clock", help="move a manual clock along with the events (development)")
    ] = False,
) -> None:
    """Send a file of events, earliest first; run it again to go on after a failure: what is known already counts once."""
    try:
        found = read_events(file, Columns(lead, time, kind, value, event_id), default_type)
    except TableFileError as error:
        typer.echo(f"{file}: {error}", err=True)
        raise typer.Exit(2) from error
    done = _Position(file, server, tenant)
    accepted = duplicates = 0
    refusals: list[str] = []
    with channel_to(server) as channel, Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        stub = Stub(channel)
        bar = progress.add_task("events", total=len(found), completed=done.events)
        for batch in _batches(found[done.events :], by_day=replay_clock):
            answer = _send(stub, batch, tenant, replay_clock=replay_clock)
            accepted, duplicates = accepted + answer.accepted, duplicates + answer.duplicates
            refusals += [f"{batch[item.index].event_id}: {item.status.message}" for item in answer.rejected]
            done.move(len(batch))
            progress.advance(bar, len(batch))
    done.clear()
    typer.echo(f"{accepted:,} recorded, {duplicates:,} known already, {len(refusals):,} refused")
    for refusal in refusals[:SHOWN_REFUSALS]:
        typer.echo(f"  {refusal}", err=True)
    raise typer.Exit(1 if refusals else 0)


class _Position:
    """How far an import of this very file to this tenant came, in a file beside it, until it is complete."""

    def __init__(self, file: Path, server: str, tenant: str) -> None:
        self._path = file.with_name(file.name + ".imported")
        self._import = blake2b(file.read_bytes() + f"{server} {tenant}".encode(), digest_size=16).hexdigest()
        known, _, events = self._path.read_text().partition(" ") if self._path.exists() else ("", "", "")
        self.events = int(events) if known == self._import else 0

    def move(self, events: int) -> None:
        self.events += events
        self._path.write_text(f"{self._import} {self.events}")

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def _batches(events: list[lead_pb2.LeadEvent], *, by_day: bool) -> Iterator[list[lead_pb2.LeadEvent]]:
    """Yield the events in calls' worth; by day when the clock moves along."""
    for _, group in groupby(events, key=lambda event: event.occur_time.seconds // 86_400 if by_day else 0):
        day = list(group)
        for first in range(0, len(day), RECORD_EVENTS):
            yield day[first : first + RECORD_EVENTS]


def _send(
    stub: Stub, batch: list[lead_pb2.LeadEvent], tenant: str, *, replay_clock: bool
) -> lead_service_pb2.RecordEventsResponse:
    metadata = metadata_of(tenant)
    if replay_clock:
        now = batch[-1].occur_time.ToDatetime(UTC) + timedelta(seconds=1)
        metadata = (*metadata, ("x-keepwell-now", now.isoformat()))
    request = lead_service_pb2.RecordEventsRequest(events=batch)
    return stub.RecordEvents(request, metadata=metadata, timeout=DEADLINE_SECONDS)
