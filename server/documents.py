"""Documents that an operator wrote: a tenant's own, and each one's text. What lies where one is expected may be anything."""

import errno
import os
import stat
from pathlib import Path

import structlog

from rules.diagnostics import PolicyInvalidError
from rules.yaml_text import LARGEST_BYTES, text_of
from server.caller import TENANT

log = structlog.get_logger()


class DocumentRefusedError(Exception):
    """A document that the service does not start with: each fault as a line that begins with its file."""

    def __init__(self, path: Path, refused: PolicyInvalidError) -> None:
        super().__init__("\n".join(f"{path}:{fault}" for fault in refused.diagnostics))


def documents_of_tenants(folder: Path, what: str) -> dict[str, Path]:
    """Return each `<tenant>.yaml` of a folder by tenant; files that were meant to be one are named in the log.

    Raises:
        NotADirectoryError: The folder is gone: its tenants would be anybody.

    """
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder of {what}")
    found = sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    own = {path.stem: path for path in found if path.suffix == ".yaml" and TENANT.fullmatch(path.stem)}
    for path in found:
        if path not in own.values():
            log.warning("document_ignored", file=str(path), needed="<tenant>.yaml, as tenants are called")
    return own


def read_document(path: Path) -> str:
    """Return a file's text, of which no more is read than a document can be; opening never waits, as for a pipe that nobody writes to.

    Raises:
        PolicyInvalidError: It is too large, or not UTF-8.
        OSError: It cannot be read, or is no regular file.

    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return text_of(file.read(LARGEST_BYTES + 1))
