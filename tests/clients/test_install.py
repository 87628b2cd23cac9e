"""The package as others install it: alone, in an environment of its own, with the oldest and with the newest libraries that it allows.

The marked ones ask the package index: `make clients` runs them.
"""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "clients" / "python"
OLDEST = ("googleapis-common-protos==1.70.0", "grpcio==1.71.2", "protobuf==5.29.1")

ASK = """
import importlib.util, sys
from keepwell.v1.decision_service_pb2 import DecideRequest
from keepwell_client import Client
assert not [name for name in ("catboost", "redis", "durable_rules_engine", "server") if importlib.util.find_spec(name)]
with Client(sys.argv[1]) as client:
    print(client.decide(DecideRequest(lead_id="lead", churn_probability=0.5)).decision.lead_id)
    requests = [DecideRequest(lead_id=f"lead-{number}", churn_probability=0.5) for number in range(300)]
    print(sum(result.decision is not None for result in client.decide_many(requests)))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", folder], cwd=PACKAGE, check=True)
    return folder


def names_in(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info" not in name}


def wheel_of(source: Path, folder: Path) -> Path:
    """Return the wheel that pip builds from a folder or an sdist."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(source)], check=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_the_whole_contract_and_the_types(built: Path) -> None:
    files = [path for path in (PROJECT / "proto" / "keepwell").rglob("*") if path.suffix in {".proto", ".py", ".pyi"}]
    names = names_in(next(built.glob("*.whl")))
    assert {str(path.relative_to(PROJECT / "proto")) for path in files} < names
    assert {"keepwell/v1/py.typed", "keepwell_client/py.typed", "keepwell_client/LICENSE"} < names


def test_an_sdist_alone_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        # Python's own recipe for releases before 3.11.4, which know no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        archive.extractall(tmp_path)
    wheel = wheel_of(next(tmp_path.glob("keepwell_client-*")), tmp_path / "wheel")
    assert names_in(wheel) - {"keepwell_client/LICENSE"} == names_in(next(built.glob("*.whl"))) - {
        "keepwell_client/LICENSE"
    }


def test_no_other_wheel_of_the_project_brings_the_stubs(tmp_path: Path) -> None:
    names = names_in(wheel_of(PROJECT, tmp_path))
    assert "server/app.py" in names
    assert [name for name in names if name.startswith("keepwell")] == []


@pytest.mark.index
@pytest.mark.parametrize("libraries", [OLDEST, ()], ids=["oldest", "newest"])
def test_it_works_alone(libraries: tuple[str, ...], built: Path, tmp_path: Path, server: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    python = tmp_path / "bin" / "python"
    wheel = next(built.glob("*.whl"))
    subprocess.run([python, "-m", "pip", "install", "--quiet", *libraries, wheel], check=True)
    answer = subprocess.run([python, "-I", "-c", ASK, server], capture_output=True, text=True, check=True)
    assert answer.stdout == "lead\n300\n"
