"""The committed stubs are those of the `.proto` files, and both say what callers were promised.

buf compiles the `.proto` files here, because the stubs' own generator lives in an environment that tests do not need.
"""

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import google.rpc
import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto, FileDescriptorSet
from keepwell.v1 import decision_pb2, error_reason_pb2, lead_pb2

from server.status import TABLE

PROTO = Path(__file__).resolve().parents[2] / "proto"
SOURCES = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))

RPCS = {
    "decision": "Decide DecideStream Preview GetDecision ListDecisions VerifyDecision",
    "feed": "WatchDecisions Subscribe Acknowledge Reject ListSubscriptions DeleteSubscription SeekSubscription "
    "ListDeadLetters",
    "lead": "RecordEvents StreamEvents UpsertLeads GetLead SetConsent Snooze EraseLead ExportLead",
    "outcome": "ReportOutcomes",
    "escalation": "ListEscalations GetEscalation AcknowledgeEscalation ResolveEscalation ReassignEscalation "
    "WatchEscalations",
    "policy": "ValidatePolicy CreatePolicy ActivatePolicy RollbackPolicy GetPolicy ListPolicyVersions ShadowPolicy "
    "GetShadowReport RunBacktest",
    "model": "UploadModel ListModels GetModel ActivateModel RollbackModel Score",
    "metrics": "GetPreventionMetrics GetIncrementality WatchMetrics",
}

ENUMS = {
    "InterventionStage": ("INTERVENTION_STAGE_", "UNSPECIFIED NONE EARLY_WARNING ACTIVE_RISK CRITICAL_RISK"),
    "InterventionChannel": (
        "INTERVENTION_CHANNEL_",
        "UNSPECIFIED EMAIL SMS PHONE PUSH IN_APP CRM_WORKFLOW AGENT_ASSIGNMENT",
    ),
    "InterventionOutcome": (
        "INTERVENTION_OUTCOME_",
        "UNSPECIFIED PENDING DELIVERED ENGAGED CONVERTED FAILED IGNORED ESCALATED OPTED_OUT COMPLAINED",
    ),
    "Verdict": ("VERDICT_", "UNSPECIFIED CONTACT DEFER SUPPRESS NO_ACTION HELD_OUT"),
    "ReasonCode": (
        "REASON_CODE_",
        "UNSPECIFIED HELD_OUT OPTED_OUT NO_CONSENT DO_NOT_CONTACT QUIET_HOURS LEGAL_HOURS TIME_ZONE_UNKNOWN "
        "LIMIT_CHANNEL LIMIT_ANY_CHANNEL LIMIT_PLAYBOOK LIMIT_TENANT ESCALATION_COOLDOWN ESCALATION_SHARE SNOOZED "
        "LOWER_PRIORITY STAGE_HYSTERESIS NOT_ELIGIBLE STALE_FEATURES MODEL_UNAVAILABLE RULE_ERROR STATE_UNAVAILABLE "
        "UPLIFT_NEGATIVE CHANNEL_UNAVAILABLE",
    ),
    "AssessmentSource": ("ASSESSMENT_SOURCE_", "UNSPECIFIED MODEL CALLER FALLBACK"),
    "NoEstimateReason": (
        "NO_ESTIMATE_REASON_",
        "UNSPECIFIED PROBABILITY_GIVEN MODEL_UNAVAILABLE NOT_BETTER ACTIVITY_UNKNOWN SILENT_ALREADY BEYOND_HORIZON "
        "NOT_TRAINED",
    ),
    "DecisionCause": ("DECISION_CAUSE_", "UNSPECIFIED REQUEST EVENT SCHEDULE"),
    "RuleOutcome": ("RULE_OUTCOME_", "UNSPECIFIED HIT NO_HIT ERROR"),
    "EscalationState": ("ESCALATION_STATE_", "UNSPECIFIED OPEN ACKNOWLEDGED RESOLVED EXPIRED"),
    "ConsentState": ("CONSENT_STATE_", "UNSPECIFIED GRANTED WITHDRAWN"),
}


def _without_json_names(messages: list[DescriptorProto]) -> None:
    """Clear what protoc leaves out of the stubs; a compiler derives it from the field's name."""
    for message in messages:
        for field in message.field:
            field.ClearField("json_name")
        _without_json_names(list(message.nested_type))


def _bare(file: FileDescriptorProto) -> FileDescriptorProto:
    file.ClearField("source_code_info")
    file.DiscardUnknownFields()  # buf's own remarks
    _without_json_names(list(file.message_type))
    return file


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FileDescriptorProto]:
    """Return the descriptor of each `.proto` by its path, compiled now and without its comments."""
    folder = tmp_path_factory.mktemp("contract")
    shutil.copytree(PROTO / "keepwell", folder / "keepwell")
    shutil.copytree(Path(next(iter(google.rpc.__path__))), folder / "google" / "rpc")
    (folder / "buf.yaml").write_text("version: v2\n")
    image = folder / "image.binpb"
    buf = Path(sys.executable).parent / "buf"
    environment = {**os.environ, "BUF_CACHE_DIR": str(folder / "cache")}
    subprocess.run([buf, "build", "--exclude-source-info", "-o", image], cwd=folder, env=environment, check=True)
    return {file.name: _bare(file) for file in FileDescriptorSet.FromString(image.read_bytes()).file}


@pytest.mark.parametrize("source", SOURCES)
def test_the_stub_holds_the_descriptor_of_its_proto(source: str, compiled: dict[str, FileDescriptorProto]) -> None:
    stub = import_module(source.removesuffix(".proto").replace("/", ".") + "_pb2")
    embedded = FileDescriptorProto.FromString(stub.DESCRIPTOR.serialized_pb)
    assert _bare(embedded) == compiled[source], "run python proto/generate.py"


@pytest.mark.parametrize("source", SOURCES)
def test_every_proto_has_its_generated_files(source: str) -> None:
    endings = ["_pb2.py", "_pb2.pyi"]
    if source.endswith("_service.proto"):
        endings += ["_pb2_grpc.py", "_pb2_grpc.pyi"]
    stem = str(PROTO / source).removesuffix(".proto")
    assert [ending for ending in endings if not Path(stem + ending).is_file()] == []


def test_no_stub_outlives_its_proto() -> None:
    stubs = {str(path.relative_to(PROTO)) for path in PROTO.rglob("*_pb2.py")}
    assert stubs == {source.replace(".proto", "_pb2.py") for source in SOURCES}


@pytest.mark.parametrize("name", sorted(RPCS))
def test_a_service_has_the_promised_rpcs(name: str) -> None:
    stub = import_module(f"keepwell.v1.{name}_service_pb2")
    service = stub.DESCRIPTOR.services_by_name[f"{name.capitalize()}Service"]
    assert [method.name for method in service.methods] == RPCS[name].split()


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_an_enum_has_the_promised_values_in_their_order(name: str) -> None:
    prefix, words = ENUMS[name]
    enums = {**decision_pb2.DESCRIPTOR.enum_types_by_name, **lead_pb2.DESCRIPTOR.enum_types_by_name}
    values = [(value.name, value.number) for value in enums[name].values]
    assert values == [(prefix + word, number) for number, word in enumerate(words.split())]


def test_the_contract_lists_every_reason_that_the_server_sends_and_no_other() -> None:
    values = error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"].values_by_name
    sent = {f"ERROR_REASON_{row.reason}" for row in TABLE.values()}
    assert set(values) == sent | {"ERROR_REASON_UNSPECIFIED"}
