"""Lint the contract, and refuse changes that break its callers: `python proto/check.py [BASE]`.

BASE is a git revision.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from generate import ROOT
from image import write_image

BUF = Path(sys.executable).parent / "buf"


def base_contract(revision: str, folder: Path) -> Path | None:
    """Return the contract as it was in a revision; None when there was none."""
    archive = subprocess.run(["git", "archive", revision, "proto"], cwd=ROOT.parent, capture_output=True, check=False)
    if archive.returncode != 0:
        return None
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        # Python's own recipe for releases before 3.11.4, which know no filters.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, _: member)
        tar.extractall(folder)
    return folder / "proto"


def main() -> int:
    """Return 0 when the contract is clean and breaks nobody."""
    revision = sys.argv[1] if len(sys.argv) > 1 else "HEAD~1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        now = write_image(ROOT, folder / "now.binpb")
        code = subprocess.run([BUF, "lint", now, "--config", ROOT / "buf.yaml"], check=False).returncode
        before = base_contract(revision, folder / "before")
        if before is None:
            print(f"no contract in {revision}: nothing can break")
            return code
        against = write_image(before, folder / "before.binpb")
        command = [BUF, "breaking", now, "--against", against, "--config", ROOT / "buf.yaml"]
        return code or subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
