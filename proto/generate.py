"""Generate the Python stubs beside the `.proto` files, or say which are stale: `python proto/generate.py [--check]`.

The generator lives in an environment of its own: its release decides which protobuf runtimes the stubs work on, and
1.71's work on 5.29, 6.31 and 7.36, while the newest would refuse older callers.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
TOOLS = ROOT.parent / ".venv-codegen"
REQUIREMENTS = ("grpcio-tools==1.71.2", "mypy-protobuf==3.6.0", "googleapis-common-protos==1.70.0", "setuptools<81")


def tool_python() -> Path:
    """Return the generator's interpreter; installed on first use."""
    python = TOOLS / "bin" / "python"
    stamp = TOOLS / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS)
    if not stamp.exists() or stamp.read_text() != wanted:
        venv.create(TOOLS, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return python


def generate(output: Path) -> None:
    """Write every stub into a folder."""
    python = tool_python()
    include = next(TOOLS.glob("lib/python*/site-packages"))
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.proto"))
    services = [source for source in sources if source.endswith("_service.proto")]
    protoc = [python, "-m", "grpc_tools.protoc", f"-I{ROOT}", f"-I{include}"]
    plugin = f"--plugin=protoc-gen-mypy={TOOLS / 'bin' / 'protoc-gen-mypy'}"
    plugin_grpc = f"--plugin=protoc-gen-mypy_grpc={TOOLS / 'bin' / 'protoc-gen-mypy_grpc'}"
    messages = [f"--python_out={output}", plugin, f"--mypy_out=quiet:{output}"]
    stubs = [f"--grpc_python_out={output}", plugin_grpc, f"--mypy_grpc_out=quiet:{output}"]
    subprocess.run([*protoc, *messages, *sources], check=True)
    subprocess.run([*protoc, *stubs, *services], check=True)


def stale(fresh: Path) -> list[str]:
    """Return the committed stubs that differ from fresh ones, are missing, or are too many."""

    def stubs(folder: Path) -> dict[str, bytes]:
        found = [*folder.rglob("*_pb2*.py"), *folder.rglob("*_pb2*.pyi")]
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}

    old, new = stubs(ROOT), stubs(fresh)
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def main() -> int:
    """Generate, or with --check compare; return the exit code."""
    if sys.argv[1:] != ["--check"]:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        names = stale(Path(folder))
    for name in names:
        print(f"stale: proto/{name}; run python proto/generate.py", file=sys.stderr)
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
