"""`keepwell decide`, `watch`, `lead` and `verify`: ask a running service."""

import uuid
from typing import Annotated

import typer
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from keepwell.v1 import (
    decision_pb2,
    decision_service_pb2,
    decision_service_pb2_grpc,
    feed_service_pb2,
    feed_service_pb2_grpc,
    lead_pb2,
    lead_service_pb2,
    lead_service_pb2_grpc,
)
from rich.console import Console

from model.features import NUMERIC
from server.cli.calling import DEADLINE_SECONDS, DEFAULT_SERVER, Json, Server, Tenant, channel_to, metadata_of
from server.cli.show import decision_lines

Option, Argument = typer.Option, typer.Argument
NUMBERS = frozenset(feature.name for feature in NUMERIC)
console = Console()


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = {}
    for text in given:
        name, separator, value = text.partition("=")
        if not separator:
            typer.echo(f"--feature {text}: must be NAME=VALUE", err=True)
            raise typer.Exit(2)
        pairs[name] = value
    return pairs


def features_told(given: list[str]) -> decision_pb2.Features:
    """Return the features of NAME=VALUE options; of a name that the schema lacks, what is no number is a category, and the server says more."""
    features = decision_pb2.Features()
    for name, value in _pairs(given).items():
        try:
            features.numbers[name] = float(value)
        except ValueError:
            if name in NUMBERS:
                typer.echo(f"--feature {name}={value}: {name} is a number", err=True)
                raise typer.Exit(2) from None
            features.categories[name] = value
    return features


def print_json(message: Message) -> None:
    """Print a message as one line of JSON."""
    print(MessageToJson(message, preserving_proto_field_name=True, indent=None))


def decide(
    lead_id: Annotated[str, Argument(help="the lead")],
    probability: Annotated[float | None, Option(help="use this churn probability instead of the model's")] = None,
    feature: Annotated[list[str] | None, Option(help="NAME=VALUE; may be repeated")] = None,
    time_zone: Annotated[str, Option(help="the lead's IANA time zone")] = "",
    request_id: Annotated[str | None, Option(help="makes a retry safe; made up when absent")] = None,
    explain: Annotated[bool, Option("--explain", help="show what moved the score")] = False,
    preview: Annotated[bool, Option("--preview", help="answer, and write nothing")] = False,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Ask for a decision about one lead."""
    request = decision_service_pb2.DecideRequest(
        request_id=request_id or uuid.uuid4().hex,
        lead_id=lead_id,
        features=features_told(feature) if feature else None,
        churn_probability=probability,
        profile=lead_pb2.LeadProfile(time_zone=time_zone) if time_zone else None,
        explain=explain,
    )
    with channel_to(server) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        method = stub.Preview if preview else stub.Decide
        response = method(request, timeout=DEADLINE_SECONDS, metadata=metadata_of(tenant))
    if json:
        print_json(response)
    else:
        console.print("\n".join(decision_lines(response.decision)), highlight=False, soft_wrap=True)


def watch(
    earliest: Annotated[bool, Option("--earliest", help="start with the oldest decision that is retained")] = False,
    after: Annotated[str, Option(help="resume after this token")] = "",
    count: Annotated[int, Option(help="stop after so many decisions; 0 goes on", min=0)] = 0,
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Follow the decision feed."""
    if earliest and after:
        typer.echo("--earliest, --after: give one of them, each says where to start", err=True)
        raise typer.Exit(2)
    start = feed_service_pb2.FeedStart(latest=Empty())
    if after or earliest:
        start = feed_service_pb2.FeedStart(after=after) if after else feed_service_pb2.FeedStart(earliest=Empty())
    seen, token = 0, after
    with channel_to(server) as channel:
        stub = feed_service_pb2_grpc.FeedServiceStub(channel)
        request = feed_service_pb2.WatchDecisionsRequest(start=start)
        for response in stub.WatchDecisions(request, metadata=metadata_of(tenant)):
            decisions = response.decisions[: count - seen] if count else response.decisions
            for decision in decisions:
                if json:
                    print_json(decision)
                else:
                    console.print(decision_lines(decision)[0], highlight=False, soft_wrap=True)
            seen += len(decisions)
            # The token of a message of which some were not shown would leave those out.
            repeated = len(decisions) if len(decisions) < len(response.decisions) else 0
            token = token if repeated else response.resume_token
            if seen == count and count:
                typer.echo(_how_to_resume(token, repeated), err=json)
                return


def _how_to_resume(token: str, repeated: int) -> str:
    where = f"--after {token}" if token else "--earliest"
    return f"resume with {where}" + (f", which repeats the last {repeated}" if repeated else "")


def lead(
    lead_id: Annotated[str, Argument(help="the lead")],
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
) -> None:
    """Show everything that is remembered of a lead, as JSON."""
    with channel_to(server) as channel:
        stub = lead_service_pb2_grpc.LeadServiceStub(channel)
        request = lead_service_pb2.GetLeadRequest(lead_id=lead_id)
        view = stub.GetLead(request, timeout=DEADLINE_SECONDS, metadata=metadata_of(tenant))
    print(MessageToJson(view, preserving_proto_field_name=True))


def verify(
    decision_id: Annotated[str, Argument(help="the decision")],
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Have a decision made again from its stored inputs, and compared."""
    with channel_to(server) as channel:
        stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        request = decision_service_pb2.VerifyDecisionRequest(decision_id=decision_id)
        response = stub.VerifyDecision(request, timeout=DEADLINE_SECONDS, metadata=metadata_of(tenant))
    if json:
        print_json(response)
    elif response.match:
        typer.echo(f"{decision_id}: made again from its inputs, byte for byte the same")
    for mismatch in response.mismatches if not json else ():
        typer.echo(f"{mismatch.field_path}: stored {mismatch.stored}, recomputed {mismatch.recomputed}")
    raise typer.Exit(0 if response.match else 1)
