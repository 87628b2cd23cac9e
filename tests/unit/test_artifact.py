import json
from typing import Any

import pytest

from model.scorer import MANIFEST, ModelArtifactError, Scorer
from server.artifact import LARGEST_ARTIFACT, Assembly, check_hashes, load_artifact, read_folder
from server.errors import ModelRefusedError
from server.models import SHIPPED
from server.store.models import Files
from tests.artifacts import changed


@pytest.fixture(scope="module")
def shipped() -> Files:
    return read_folder(SHIPPED)


def assembled(files: Files, size: int = 1_000) -> Files:
    assembly = Assembly(files[MANIFEST])
    for name in files.keys() - {MANIFEST}:
        for first in range(0, len(files[name]), size):
            assembly.add(name, files[name][first : first + size])
    return assembly.whole()


def test_an_artifact_in_pieces_is_the_artifact(shipped: Files) -> None:
    assert assembled(shipped) == shipped


def test_a_file_that_is_not_what_the_manifest_says_is_named(shipped: Files) -> None:
    damaged = shipped["trees.json"][:-1] + b"]"
    with pytest.raises(ModelRefusedError, match=r"trees.json has the SHA-256") as error:
        assembled({**shipped, "trees.json": damaged})
    assert error.value.file == "trees.json"


def test_a_missing_file_is_named(shipped: Files) -> None:
    with pytest.raises(ModelRefusedError, match=r"churn\.cbm is missing"):
        assembled({name: data for name, data in shipped.items() if name != "churn.cbm"})


def test_a_file_that_the_manifest_does_not_name_is_refused(shipped: Files) -> None:
    with pytest.raises(
        ModelRefusedError, match=r"no file '../evil.py'; its files are churn.cbm, hazard.cbm, hazard.json, trees.json"
    ):
        Assembly(shipped[MANIFEST]).add("../evil.py", b"")


def test_files_do_not_interleave(shipped: Files) -> None:
    assembly = Assembly(shipped[MANIFEST])
    assembly.add("churn.cbm", b"a")
    assembly.add("trees.json", b"b")
    with pytest.raises(ModelRefusedError, match=r"churn\.cbm goes on after another file began"):
        assembly.add("churn.cbm", b"c")


def test_an_artifact_may_be_as_large_as_the_bound_and_no_larger(shipped: Files) -> None:
    assembly = Assembly(shipped[MANIFEST])
    assembly.add("churn.cbm", bytes(LARGEST_ARTIFACT))
    with pytest.raises(ModelRefusedError, match="at most 33554432 bytes"):
        assembly.add("churn.cbm", b"1")


@pytest.mark.parametrize("manifest", [b"", bytes((1 << 20) + 1)])
def test_a_manifest_has_a_size(manifest: bytes) -> None:
    with pytest.raises(ModelRefusedError, match="1 to 1048576 bytes"):
        Assembly(manifest)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"format": "pickle"}, r"format is 'pickle', and keepwell.model/v2 can be read"),
        ({"feature_schema": "0"}, "trained on another feature schema"),
        ({"files": {"churn.cbm": "0"}}, "names no trees.json"),
        ({"files": {"churn.cbm": "0", "trees.json": "0", "../x.py": "0"}}, "names a file '../x.py'"),
        ({"files": {"churn.cbm": "0", "trees.json": "0", "manifest.json": "0"}}, "names a file 'manifest.json'"),
        ({"files": 3}, "is not a manifest"),
    ],
)
def test_a_manifest_that_cannot_be_served_is_refused_before_its_files_come(
    change: dict[str, Any], problem: str
) -> None:
    _, files = changed(lambda manifest: manifest.update(change))
    with pytest.raises(ModelRefusedError, match=problem):
        Assembly(files[MANIFEST])


def test_a_manifest_that_was_changed_afterwards_is_refused(shipped: Files) -> None:
    manifest = {**json.loads(shipped[MANIFEST]), "base_rate": 0.5}
    with pytest.raises(ModelRefusedError, match="changed after it was made"):
        Assembly(json.dumps(manifest).encode())


@pytest.mark.parametrize("manifest", [b"\x80\x04pickle", b"[]", b"{}", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(manifest: bytes) -> None:
    with pytest.raises(ModelRefusedError, match="not a manifest"):
        Assembly(manifest)


def test_an_artifact_kept_under_another_version_is_refused(shipped: Files) -> None:
    with pytest.raises(ModelArtifactError, match="what is kept as abc is"):
        check_hashes(shipped, "abc")


@pytest.mark.parametrize(
    "change",
    [
        {"calibration": {}},
        {"encodings": []},
        {"smoke": {"inputs": [[1.0]], "raw": [0.0]}},
        {"profile": {"score": {}}},
        {"profile": 7},
    ],
)
def test_a_manifest_whose_parts_are_misshaped_is_refused_at_loading(change: dict[str, Any]) -> None:
    _, files = changed(lambda manifest: manifest.update(change))
    with pytest.raises(ModelArtifactError):
        load_artifact(files, canary=False)


def test_a_sound_artifact_scores_as_the_folder_it_came_from(shipped: Files) -> None:
    assert load_artifact(shipped, canary=False).version == Scorer.load(SHIPPED).version
