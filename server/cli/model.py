"""`keepwell model`: bring models in, let one score, go back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from keepwell.v1 import model_service_pb2, model_service_pb2_grpc
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

from model.scorer import MANIFEST, ModelArtifactError
from server.artifact import read_folder
from server.cli.ask import features_told, print_json
from server.cli.calling import DEADLINE_SECONDS, DEFAULT_SERVER, Json, Server, Tenant, channel_to, metadata_of
from server.cli.show import stage_text

app = typer.Typer(help="Bring models in, let one score, go back.", no_args_is_help=True)
Version = Annotated[str, typer.Argument(help="the model's version")]
Etag = Annotated[str, typer.Option(help="only while the tenant's models have this etag")]
console = Console(soft_wrap=True, highlight=False)
CHUNK_BYTES = 256 << 10
LOADING_SECONDS = 60.0  # the server tries the model in a process of its own before it answers


def _stub(channel: object) -> model_service_pb2_grpc.ModelServiceStub:
    return model_service_pb2_grpc.ModelServiceStub(channel)  # type: ignore[arg-type]


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(help="what `keepwell train` wrote", exists=True, file_okay=False)],
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Bring a model in; it does not score before it is activated."""
    try:
        files = read_folder(folder)
    except ModelArtifactError as error:
        typer.echo(f"{folder}: {error}", err=True)
        raise typer.Exit(2) from error
    with channel_to(server) as channel, Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("model", total=sum(map(len, files.values())))

        def messages() -> Iterator[model_service_pb2.UploadModelRequest]:
            for message in _pieces(files):
                yield message
                progress.advance(bar, len(message.manifest) + len(message.chunk.data))

        found = _stub(channel).UploadModel(messages(), timeout=2 * LOADING_SECONDS, metadata=metadata_of(tenant))
    _say(found, json=json)


def _pieces(files: dict[str, bytes]) -> Iterator[model_service_pb2.UploadModelRequest]:
    yield model_service_pb2.UploadModelRequest(manifest=files[MANIFEST])
    for name, data in files.items():
        for first in range(0, len(data) if name != MANIFEST else 0, CHUNK_BYTES):
            chunk = model_service_pb2.ModelFileChunk(file=name, data=data[first : first + CHUNK_BYTES])
            yield model_service_pb2.UploadModelRequest(chunk=chunk)


@app.command("list")
def list_all(server: Server = DEFAULT_SERVER, tenant: Tenant = "default", json: Json = False) -> None:
    """List the tenant's models, newest first; the one that the service came with is last."""
    request = model_service_pb2.ListModelsRequest()
    table = Table(Column("version", no_wrap=True, min_width=32), "scores", "came in", "AUC", "Brier")
    with channel_to(server) as channel:
        while True:
            page = _stub(channel).ListModels(request, timeout=DEADLINE_SECONDS, metadata=metadata_of(tenant))
            for found in page.models:
                if json:
                    print_json(found)
                table.add_row(*_cells(found))
            request.page_token = page.next_page_token
            if not request.page_token:
                break
    if not json:
        console.print(table)


def _cells(found: model_service_pb2.Model) -> tuple[str, ...]:
    came = (
        f"{found.create_time.ToDatetime():%Y-%m-%d %H:%M} UTC" if found.HasField("create_time") else "with the service"
    )
    scores = ("but for an error" if found.load_error else "yes") if found.active else ""
    return found.version, scores, came, *(_figure(found, name) for name in ("test.auc", "test.brier"))


def _figure(found: model_service_pb2.Model, name: str) -> str:
    return f"{found.metrics[name]:.3f}" if name in found.metrics else ""


@app.command()
def show(
    version: Annotated[str, typer.Argument(help="default: the one that scores")] = "",
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Show a model's metrics, calibration and drift; --json adds its manifest."""
    request = model_service_pb2.GetModelRequest(version=version)
    with channel_to(server) as channel:
        found = _stub(channel).GetModel(request, timeout=DEADLINE_SECONDS, metadata=metadata_of(tenant))
    _say(found, json=json)
    if json:
        return
    console.print("\n".join(f"  {name} {value:g}" for name, value in sorted(found.metrics.items())))
    parameters = ", ".join(f"{name} {value:g}" for name, value in sorted(found.calibration.parameters.items()))
    console.print(f"  calibration {found.calibration.method}: {parameters}")
    console.print("\n".join(_drift_lines(found.drift)))


def _drift_lines(drift: model_service_pb2.Drift) -> list[str]:
    if drift.unavailable_reason:
        return [f"  no drift: {drift.unavailable_reason}"]
    since = drift.start_time.ToJsonString()
    lines = [f"  drift (PSI) over {drift.leads:,} leads since {since}: score {drift.score_psi:.3f}"]
    moved = sorted(drift.feature_psi.items(), key=lambda item: -item[1])
    return lines + [f"    {name} {value:.3f}" for name, value in moved]


@app.command()
def activate(
    version: Version, etag: Etag = "", server: Server = DEFAULT_SERVER, tenant: Tenant = "default", json: Json = False
) -> None:
    """Let a model score from now on."""
    request = model_service_pb2.ActivateModelRequest(version=version, etag=etag)
    with channel_to(server) as channel:
        found = _stub(channel).ActivateModel(request, timeout=LOADING_SECONDS, metadata=metadata_of(tenant))
    _say(found, json=json)


@app.command()
def rollback(etag: Etag = "", server: Server = DEFAULT_SERVER, tenant: Tenant = "default", json: Json = False) -> None:
    """Go back to the model before."""
    request = model_service_pb2.RollbackModelRequest(etag=etag)
    with channel_to(server) as channel:
        found = _stub(channel).RollbackModel(request, timeout=LOADING_SECONDS, metadata=metadata_of(tenant))
    _say(found, json=json)


@app.command()
def score(
    feature: Annotated[list[str], typer.Option(help="NAME=VALUE; may be repeated")],
    server: Server = DEFAULT_SERVER,
    tenant: Tenant = "default",
    json: Json = False,
) -> None:
    """Score a lead by its features, without a decision."""
    request = model_service_pb2.ScoreRequest(features=[features_told(feature)])
    with channel_to(server) as channel:
        answer = _stub(channel).Score(request, timeout=DEADLINE_SECONDS, metadata=metadata_of(tenant))
    (assessment,) = answer.assessments
    if json:
        print_json(answer)
    else:
        console.print(
            f"P {assessment.churn_probability:.3f}  {stage_text(assessment)}  by model {assessment.model_version}"
        )


def _say(found: model_service_pb2.Model, *, json: bool) -> None:
    if json:
        print_json(found)
        return
    role = "scores" if found.active else "does not score"
    console.print(f"{found.version} {role}  (etag {found.etag})")
    if found.load_error:
        console.print(f"  not on this replica: {found.load_error}")
