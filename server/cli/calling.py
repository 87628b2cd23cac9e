"""What every command that talks to a server needs: a channel, and errors as people read them."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, cast

import grpc
import typer
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from server.settings import DEFAULT_LISTEN

Server = Annotated[str, typer.Option(help="HOST:PORT of the service", envvar="KEEPWELL_LISTEN")]
Tenant = Annotated[str, typer.Option(help="whose data")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for a script")]
DEFAULT_SERVER = DEFAULT_LISTEN
DEADLINE_SECONDS = 10.0


@contextlib.contextmanager
def channel_to(server: str) -> Iterator[grpc.Channel]:
    """Yield a channel; an rpc's error ends the program with what the server said."""
    with grpc.insecure_channel(server) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            typer.echo(explain(error), err=True)
            raise typer.Exit(1) from error


def metadata_of(tenant: str) -> tuple[tuple[str, str], ...]:
    """Return the metadata that names the tenant."""
    return (("x-keepwell-tenant", tenant),)


def explain(error: grpc.RpcError) -> str:
    """Return an rpc's error in words, with its reason and bad fields."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    if status is None:
        return f"{error.code().name}: {error.details()}"
    lines = [status.message]
    for detail in status.details:
        info, bad = ErrorInfo(), BadRequest()
        if detail.Unpack(info):
            lines[0] = f"{error.code().name}/{info.reason}: {status.message}"
        elif detail.Unpack(bad):
            lines += [f"  {violation.field}: {violation.description}" for violation in bad.field_violations]
    return "\n".join(lines)
