import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from keepwell.v1 import lead_pb2, lead_service_pb2_grpc
from keepwell.v1 import lead_service_pb2 as messages
from typer.testing import CliRunner

from server.cli import app
from tests.conftest import NotReadyError, Running, start_server

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
TYPES = """\
schema: keepwell.events/v1
types:
  - name: tour
    meaning: took a tour
    counter: page_views
    amount: adds
    properties:
      rooms: {type: integer, min: 1, max: 9, required: true}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "events"
    folder.mkdir()
    (folder / "agency.yaml").write_text(TYPES)
    return folder


@pytest.fixture
def service(folder: Path, store_url: str) -> Iterator[Running]:
    running = start_server("--redis-url", store_url, "--clock", "manual", "--events-dir", str(folder))
    yield running
    assert running.stop() == 0


def record(address: str, event: lead_pb2.LeadEvent, tenant: str = "agency") -> list[tuple[str, str]]:
    """Record one event; return what is wrong with it, by field."""
    event.event_id, event.lead_id = f"{event.type}-{len(event.properties)}", "lead"
    event.occur_time.FromDatetime(NOW)
    metadata = (("x-keepwell-tenant", tenant), ("x-keepwell-now", NOW.isoformat()))
    good = lead_pb2.LeadEvent(event_id="good", lead_id="other", type="login", occur_time=event.occur_time)
    with grpc.insecure_channel(address) as channel:
        stub = lead_service_pb2_grpc.LeadServiceStub(channel)
        answer = stub.RecordEvents(messages.RecordEventsRequest(events=[good, event]), metadata=metadata)
    found = BadRequest()
    for item in answer.rejected:
        next(detail for detail in item.status.details if detail.Is(BadRequest.DESCRIPTOR)).Unpack(found)
    return [(violation.field, violation.description) for violation in found.field_violations]


def until(holds: Callable[[], bool]) -> None:
    """Ask again until something holds; the test's own time limit ends it otherwise."""
    while not holds():
        pass


def tour(**properties: str) -> lead_pb2.LeadEvent:
    return lead_pb2.LeadEvent(type="tour", value=5.0, properties=properties)


def test_a_tenants_own_type_counts_and_another_tenant_has_it_not(service: Running) -> None:
    assert record(service.address, tour(rooms="3")) == []
    with grpc.insecure_channel(service.address) as channel:
        view = lead_service_pb2_grpc.LeadServiceStub(channel).GetLead(
            messages.GetLeadRequest(lead_id="lead"), metadata=(("x-keepwell-tenant", "agency"),)
        )
    numbers = view.features.numbers
    assert (numbers["page_views_7"], numbers["amount_7"], numbers["active_days_7"]) == (1.0, 5.0, 1.0)
    ((field, description),) = record(service.address, tour(rooms="3"), tenant="somebody")
    assert field == "events[1].type"
    assert "tour" not in description.split(", ")


def test_a_property_that_is_not_as_declared_is_refused_by_its_path(service: Running) -> None:
    assert record(service.address, tour(rooms="10")) == [
        ('events[1].properties["rooms"]', "must be an integer in [1, 9]")
    ]
    assert record(service.address, tour()) == [('events[1].properties["rooms"]', "must be set: tour has it always")]
    assert record(service.address, tour(rooms="1", floor="2")) == [
        ('events[1].properties["floor"]', "must be absent: the properties of tour are rooms")
    ]


def test_a_reload_takes_a_new_file_and_keeps_what_a_broken_one_had(service: Running, folder: Path) -> None:
    (folder / "agency.yaml").write_text(TYPES.replace("max: 9", "max: 20"))
    (folder / "builder.yaml").write_text(TYPES)
    service.process.send_signal(signal.SIGHUP)
    until(lambda: record(service.address, tour(rooms="3"), tenant="builder") == [])
    assert record(service.address, tour(rooms="20")) == []
    (folder / "agency.yaml").write_text("types: nonsense")
    (folder / "builder.yaml").unlink()
    service.process.send_signal(signal.SIGHUP)
    until(lambda: record(service.address, tour(rooms="3"), tenant="builder") != [])
    assert record(service.address, tour(rooms="20")) == []


def test_a_server_does_not_start_with_a_broken_file(folder: Path, store_url: str) -> None:
    (folder / "agency.yaml").write_text("types: nonsense")
    with pytest.raises(NotReadyError):
        start_server("--redis-url", store_url, "--events-dir", str(folder))


def test_a_file_of_a_tenants_own_events_is_checked_against_its_types(service: Running, folder: Path) -> None:
    types, file = folder / "agency.yaml", folder / "e.jsonl"
    row = '{"lead_id": "a", "occur_time": "2026-03-01", "type": "tour", "value": 1}\n'
    file.write_text(row)
    arguments = ["events", "import", str(file), "--server", service.address, "--tenant", "agency", "--replay-clock"]
    assert "row 1, type: 'tour' must be one of" in CliRunner().invoke(app, arguments).output
    assert (
        'row 1, properties["rooms"]: must be set' in CliRunner().invoke(app, [*arguments, "--types", str(types)]).output
    )


def test_a_document_can_be_checked_and_its_schema_printed(folder: Path) -> None:
    good = CliRunner().invoke(app, ["events", "check", str(folder / "agency.yaml")])
    assert (good.exit_code, good.output) == (0, "tour: took a tour\n")
    bad = folder / "bad.yaml"
    bad.write_text(TYPES.replace("adds", "add"))
    checked = CliRunner().invoke(app, ["events", "check", str(bad)])
    assert checked.exit_code == 1
    assert checked.output.startswith(f"{bad}:6:5 error invalid_value types[0].amount:")
    assert '"TypeDeclaration"' in CliRunner().invoke(app, ["events", "schema"]).output
