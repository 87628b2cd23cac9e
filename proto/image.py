"""Write the contract into one file that buf generates stubs from, for any language: `python proto/image.py FILE`.

It holds the descriptors of every `.proto` with its comments, and of what they import: buf would fetch `google/rpc` from its registry, and this
has to work offline.
"""

import subprocess
import sys
from pathlib import Path

from generate import ROOT, TOOLS, tool_python

ERROR_DETAILS = "google/rpc/error_details.proto"  # no file imports it, and every error carries it


def write_image(folder: Path, output: Path) -> Path:
    """Return the file, written from the `.proto` files of a folder."""
    python = tool_python()
    include = next(TOOLS.glob("lib/python*/site-packages"))
    sources = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.proto"))
    flags = ["--include_source_info", "--include_imports", f"--descriptor_set_out={output}"]
    command = [python, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{include}", *flags, *sources, ERROR_DETAILS]
    subprocess.run(command, check=True)
    return output


if __name__ == "__main__":
    write_image(ROOT, Path(sys.argv[1]))
