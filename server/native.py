"""Which of our modules run compiled (`make native`), and which of those were changed after that: Python would still run the old ones."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = ("model", "rules", "server")


class ChangedSinceCompiledError(Exception):
    """What is written is not what would run."""


def compiled(root: Path = ROOT) -> list[Path]:
    """Return the compiled modules that this Python takes instead of their sources."""
    return sorted(found for package in PACKAGES for found in (root / package).rglob(f"*{EXTENSION_SUFFIXES[0]}"))


def check_compiled(root: Path = ROOT) -> int:
    """Return how many modules run compiled.

    Raises:
        ChangedSinceCompiledError: One of them was written anew since, with its name and the way out.

    """
    modules = compiled(root)
    # Nobody edits an installed package, and its files have the times of their installation.
    if not (root / "pyproject.toml").exists():
        return len(modules)
    for module in modules:
        source = module.with_name(f"{module.name.partition('.')[0]}.py")
        if not source.exists() or source.stat().st_mtime > module.stat().st_mtime:
            changed = f"{source.relative_to(root)} was changed after it was compiled"
            raise ChangedSinceCompiledError(
                f"{changed}: `make native` compiles it again, `make pure` runs it as it stands"
            )
    return len(modules)
