"""Which file a service that does not start would not take: the error says what is wrong, by line and column, and not where it was read."""

from collections.abc import Callable, Iterator
from pathlib import Path

from rules.diagnostics import PolicyInvalidError
from rules.source import read_policy
from rules.yaml_text import text_of
from server.event_types import types_of_file
from server.policies import SHIPPED, PolicyFiles
from server.settings import Settings


def faults_of(settings: Settings, error: PolicyInvalidError) -> list[str]:
    """Return each fault as a line that begins with its file; without one when the file has other faults by now, or none that reading finds."""
    found = next((path for path, read in _documents(settings) if _faulty(path, read, error)), None)
    return [f"{found}:{fault}" if found else str(fault) for fault in error.diagnostics]


def _documents(settings: Settings) -> Iterator[tuple[Path, Callable[[Path], object]]]:
    for path in PolicyFiles(settings.policy or SHIPPED, settings.policy_dir).all().values():
        yield path, _read_policy_file
    if settings.events_dir is not None:
        for path in sorted(settings.events_dir.glob("*.yaml")):
            yield path, types_of_file


def _read_policy_file(path: Path) -> None:
    read_policy(text_of(path.read_bytes()))


def _faulty(path: Path, read: Callable[[Path], object], error: PolicyInvalidError) -> bool:
    try:
        read(path)
    except PolicyInvalidError as again:
        return again.diagnostics == error.diagnostics
    except OSError:
        return False
    return False
