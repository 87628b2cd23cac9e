"""The policy that the README shows, and its test: what a newcomer copies has to work."""

import re
from pathlib import Path

from typer.testing import CliRunner

from server.cli import app

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_policy_of_the_readme_is_sound_and_passes_its_test(tmp_path: Path) -> None:
    policy, cases = re.findall(r"```yaml\n(schema: keepwell\.policy.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "my.yaml").write_text(policy)
    (tmp_path / "my_test.yaml").write_text(cases)
    checked = CliRunner().invoke(app, ["policy", "check", str(tmp_path / "my.yaml")])
    assert (checked.exit_code, len(checked.output.splitlines())) == (0, 1)  # its version, and no warning
    tested = CliRunner().invoke(app, ["policy", "test", str(tmp_path / "my.yaml")])
    assert tested.output == "ok   nobody is called in the evening\n1 passed, 0 failed\n"
