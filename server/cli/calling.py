"""What every command that talks to a server needs: a channel, and errors as people read them."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, cast

import grpc
import typer
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from server.caller import TENANT
from server.host_port import is_host_and_port
from server.settings import DEFAULT_LISTEN


def checked_server(server: str) -> str:
    """Return the service's address; ends the program with exit 2 when it is none: gRPC would take another host or port."""
    if not is_host_and_port(server, 1):
        typer.echo(
            f"--server {server}: must be HOST:PORT, such as {DEFAULT_LISTEN}, with a port of 1 to 65535", err=True
        )
        raise typer.Exit(2)
    return server


def checked_tenant(tenant: str) -> str:
    """Return the tenant; ends the program with exit 2 when no tenant can have that name, which gRPC might not even send."""
    if not TENANT.fullmatch(tenant):
        said = "must be 1 to 63 lower-case letters, digits, - and _, the first a letter or digit"
        typer.echo(f"--tenant {tenant}: {said}", err=True)
        raise typer.Exit(2)
    return tenant


Server = Annotated[
    str, typer.Option(help="HOST:PORT of the service", envvar="KEEPWELL_LISTEN", callback=checked_server)
]
Tenant = Annotated[str, typer.Option(help="whose data", callback=checked_tenant)]
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
