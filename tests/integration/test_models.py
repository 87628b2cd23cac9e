import json
from collections.abc import Iterator
from hashlib import sha256
from typing import cast

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status
from keepwell.v1 import decision_pb2 as pb
from keepwell.v1 import decision_service_pb2, decision_service_pb2_grpc
from keepwell.v1 import model_service_pb2 as messages

from model.scorer import MANIFEST, Scorer, artifact_version
from server.artifact import read_folder
from server.models import SHIPPED
from server.store.models import Files
from tests.artifacts import Models, changed, pieces, shifted

SHIPPED_VERSION = Scorer.load(SHIPPED).version
NUMBERS = {"days_since_last_activity": 20.0, "active_days_30": 1.0}


def reason(error: grpc.RpcError) -> tuple[str, str]:
    """Return an error's status code and reason."""
    status = rpc_status.from_call(cast("grpc.Call", error))
    info = ErrorInfo()
    assert status is not None
    assert any(detail.Unpack(info) for detail in status.details)
    return error.code().name, info.reason


class Decisions:
    """One tenant's decisions, over gRPC."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self._stub = decision_service_pb2_grpc.DecisionServiceStub(channel)
        self._metadata = (("x-keepwell-tenant", tenant),)

    def decide(self, lead_id: str = "lead") -> pb.Decision:
        request = decision_service_pb2.DecideRequest(lead_id=lead_id, features=pb.Features(numbers=NUMBERS))
        return self._stub.Decide(request, metadata=self._metadata, timeout=10).decision

    def matches(self, decision: pb.Decision) -> bool:
        request = decision_service_pb2.VerifyDecisionRequest(decision_id=decision.decision_id)
        return self._stub.VerifyDecision(request, metadata=self._metadata, timeout=10).match


@pytest.fixture
def models(channel: grpc.Channel, tenant: str) -> Models:
    return Models(channel, tenant)


@pytest.fixture
def decisions(channel: grpc.Channel, tenant: str) -> Decisions:
    return Decisions(channel, tenant)


def test_a_model_scores_from_its_activation_on_and_every_decision_can_be_made_again(
    models: Models, decisions: Decisions
) -> None:
    made = [decisions.decide()]
    version = models.push(shifted(1.0))
    made.append(decisions.decide())
    assert models.activate(version).active
    made.append(decisions.decide())
    assert models.roll_back().version == SHIPPED_VERSION
    made.append(decisions.decide())
    assert [decision.model_version for decision in made] == [SHIPPED_VERSION, SHIPPED_VERSION, version, SHIPPED_VERSION]
    assert made[2].assessment.churn_probability > made[1].assessment.churn_probability + 0.1
    assert all(decisions.matches(decision) for decision in made)


def test_models_are_listed_newest_first_and_the_shipped_one_last(models: Models) -> None:
    first, second = models.push(shifted(0.25)), models.push(shifted(0.5))
    page = models.page(size=2)
    assert [model.version for model in page.models] == [second, first]
    rest = models.page(size=2, token=page.next_page_token)
    assert [model.version for model in rest.models] == [SHIPPED_VERSION]
    assert rest.models[0].active
    assert rest.models[0].shipped
    assert rest.next_page_token == ""
    assert not any(model.manifest for model in page.models)


def test_a_model_is_shown_with_its_metrics_calibration_and_features(models: Models) -> None:
    found = models.get()
    manifest = json.loads((SHIPPED / MANIFEST).read_text())
    assert json.loads(found.manifest) == manifest
    assert found.metrics["test.auc"] == manifest["metrics"]["test"]["auc"]
    assert found.calibration.method == manifest["calibration"]["method"]
    assert found.features[0] == "days_since_last_activity"
    assert found.feature_schema == manifest["feature_schema"]


def test_a_model_belongs_to_its_tenant_alone(models: Models, channel: grpc.Channel) -> None:
    version = models.push(shifted(0.75))
    models.activate(version)
    other = Models(channel, "another")
    assert version not in other.versions()
    for call in (other.get, other.activate):
        with pytest.raises(grpc.RpcError) as error:
            call(version)
        assert reason(error.value) == ("NOT_FOUND", "MODEL_NOT_FOUND")
    assert Decisions(channel, "another").decide().model_version == SHIPPED_VERSION


def test_a_change_after_the_etag_was_read_is_aborted(models: Models) -> None:
    version = models.push(shifted(1.0))
    etag = models.get().etag
    assert models.activate(version, etag=etag).etag != etag
    with pytest.raises(grpc.RpcError) as error:
        models.activate(SHIPPED_VERSION, etag=etag)
    assert reason(error.value) == ("ABORTED", "ETAG_MISMATCH")
    with pytest.raises(grpc.RpcError) as error:
        models.roll_back(etag=etag)
    assert reason(error.value) == ("ABORTED", "ETAG_MISMATCH")
    assert models.get().version == version


def test_a_rollback_that_is_sent_again_goes_back_once(models: Models) -> None:
    first, second = models.push(shifted(1.0)), models.push(shifted(2.0))
    etag = [models.activate(version).etag for version in (first, second)][-1]
    assert models.roll_back(etag, "back").version == first
    assert models.roll_back(etag, "back").version == first
    with pytest.raises(grpc.RpcError) as error:
        models.roll_back("", "back")
    assert reason(error.value) == ("FAILED_PRECONDITION", "IDEMPOTENCY_MISMATCH")


def test_the_shipped_model_can_be_activated_by_its_version(models: Models) -> None:
    version = models.push(shifted(1.0))
    models.activate(version)
    assert models.activate(SHIPPED_VERSION).active
    assert models.roll_back().version == version


def test_there_is_nothing_before_the_shipped_model(models: Models) -> None:
    with pytest.raises(grpc.RpcError) as error:
        models.roll_back()
    assert reason(error.value) == ("FAILED_PRECONDITION", "NO_MODEL_BEFORE")


def test_a_page_token_of_another_call_is_refused(models: Models) -> None:
    with pytest.raises(grpc.RpcError) as error:
        models.page(token="nonsense")
    assert reason(error.value) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


def damaged_catboost() -> Files:
    """Return an artifact whose hashes hold, and whose CatBoost file is half a file."""
    files = read_folder(SHIPPED)
    half = files["churn.cbm"][: len(files["churn.cbm"]) // 2]
    return resealed({**files, "churn.cbm": half})


def other_catboost(tmp: Files) -> Files:
    """Return an artifact whose hashes hold, and whose trees are not CatBoost's: the last leaf of the first tree is another."""
    trees = json.loads(tmp["trees.json"])
    trees["values"][0] = [value + 0.5 for value in trees["values"][0]]
    return resealed({**tmp, "trees.json": json.dumps(trees).encode()})


def resealed(files: Files) -> Files:
    """Return an artifact with the hashes that its files have."""
    manifest = json.loads(files[MANIFEST])
    manifest["files"] = {name: sha256(files[name]).hexdigest() for name in manifest["files"]}
    manifest["version"] = artifact_version(manifest)
    return {**files, MANIFEST: json.dumps(manifest).encode()}


def bad_uploads() -> dict[str, tuple[list[messages.UploadModelRequest], str]]:
    """Return what may come in and must not stay, with what the caller is told."""
    good = read_folder(SHIPPED)
    flipped = bytearray(good["churn.cbm"])
    flipped[1_000] ^= 1
    chunk = messages.UploadModelRequest(chunk=messages.ModelFileChunk(file="churn.cbm", data=b"x"))
    manifest = messages.UploadModelRequest(manifest=good[MANIFEST])
    return {
        "nothing": ([], "nothing was sent"),
        "no manifest": ([chunk], "the first message must be the manifest"),
        "two manifests": ([manifest, manifest], "must be a chunk of a file"),
        "no file": ([manifest], "churn.cbm is missing"),
        "flipped byte": (list(pieces({**good, "churn.cbm": bytes(flipped)})), "and the manifest says"),
        "pickle": (
            list(pieces({**good, MANIFEST: b"\x80\x04\x95"})),
            "manifest.json is not a manifest",
        ),
        "other schema": (list(pieces(changed(lambda m: m.update(feature_schema="0"))[1])), "another feature schema"),
        "half a CatBoost file": (list(pieces(damaged_catboost())), "CatBoost"),
        "trees of another model": (list(pieces(other_catboost(good))), "do not give the smoke vectors' scores"),
    }


@pytest.mark.parametrize("name", sorted(bad_uploads()))
def test_a_bad_artifact_is_refused_with_what_is_wrong_and_nothing_of_it_stays(name: str, models: Models) -> None:
    requests, problem = bad_uploads()[name]
    with pytest.raises(grpc.RpcError, match=problem) as error:
        models.send(iter(requests))
    assert reason(error.value) == ("INVALID_ARGUMENT", "MODEL_REFUSED")
    assert models.versions() == [SHIPPED_VERSION]


def test_a_model_that_is_known_may_come_in_again(models: Models) -> None:
    assert models.push(shifted(0.5)) == models.push(shifted(0.5))
    assert len(models.versions()) == 2


def features(*numbers: dict[str, float]) -> messages.ScoreRequest:
    return messages.ScoreRequest(features=[pb.Features(numbers=each) for each in numbers])


def test_scores_come_in_the_order_of_the_request_and_are_what_a_decision_would_say(
    models: Models, decisions: Decisions
) -> None:
    lively = {"days_since_last_activity": 0.0, "active_days_30": 30.0}
    scored = models.score(features(NUMBERS, lively)).assessments
    decided = decisions.decide().assessment
    assert scored[0].churn_probability == decided.churn_probability
    assert (scored[0].stage, scored[0].model_version) == (decided.stage, SHIPPED_VERSION)
    assert scored[1].churn_probability < scored[0].churn_probability
    assert scored[1].stage == pb.INTERVENTION_STAGE_NONE


def test_scores_name_every_bad_field(models: Models) -> None:
    with pytest.raises(grpc.RpcError) as error:
        models.score(features(NUMBERS, {"active_days_7": 8.0}, {"shoe_size": 43.0}))
    assert reason(error.value) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    status, bad = rpc_status.from_call(cast("grpc.Call", error.value)), BadRequest()
    assert status is not None
    assert any(detail.Unpack(bad) for detail in status.details)
    assert [violation.field for violation in bad.field_violations] == [
        'features[1].numbers["active_days_7"]',
        'features[2].numbers["shoe_size"]',
    ]


@pytest.mark.parametrize(("count", "fine"), [(0, False), (1, True), (1_024, True), (1_025, False)])
def test_a_request_scores_1_to_1024_leads(count: int, fine: bool, models: Models) -> None:
    request = features(*[NUMBERS] * count)
    if fine:
        assert len(models.score(request).assessments) == count
    else:
        with pytest.raises(grpc.RpcError, match="features: must be 1 to 1024"):
            models.score(request)


def never_ending() -> Iterator[messages.UploadModelRequest]:
    """Yield pieces of one file for ever."""
    good = read_folder(SHIPPED)
    yield messages.UploadModelRequest(manifest=good[MANIFEST])
    while True:
        yield messages.UploadModelRequest(chunk=messages.ModelFileChunk(file="churn.cbm", data=bytes(1 << 20)))


def test_an_upload_that_does_not_end_is_ended(models: Models) -> None:
    with pytest.raises(grpc.RpcError, match="at most 33554432 bytes together") as error:
        models.send(never_ending())
    assert reason(error.value) == ("INVALID_ARGUMENT", "MODEL_REFUSED")
