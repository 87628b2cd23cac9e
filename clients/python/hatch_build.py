"""Takes the stubs and the licence from the project around this folder, so that git has one copy of each."""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StubsHook(BuildHookInterface[Any]):
    """Adds what an sdist needs to stand alone; in an unpacked one everything is there already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files to a wheel or an sdist; an editable install points to them."""
        project = Path(self.root).parents[1]
        contract = project / "proto" / "keepwell"
        if version == "editable" or not contract.is_dir():
            return
        build_data["force_include"][str(contract)] = "keepwell"
        build_data["force_include"][str(project / "LICENSE")] = (
            "LICENSE" if self.target_name == "sdist" else "keepwell_client/LICENSE"
        )
