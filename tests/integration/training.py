"""`keepwell train` as a caller runs it, and what it reads."""

from typer.testing import CliRunner

from model.training.dataset import Dataset
from model.training.snapshots import Snapshot
from server.cli import app
from server.cli.event_table import Columns

HEADER = "lead_id,occur_time,type,value\n"
COLUMNS = Columns("lead_id", "occur_time", "type", "value", "")
OWN_TYPES = """schema: keepwell.events/v1
types:
  - {name: question, meaning: asked something, counter: inquiries, properties: {topic: {type: text, required: true}}}
  - {name: newsletter, meaning: was sent the newsletter, activity: false}
"""


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    return result.exit_code, result.output


def newest(data: Dataset) -> Snapshot:
    return data.snapshots[data.tests[-1]]  # of 28 September: thirty days before the last visit


def say_nothing(_what: str, _share: float) -> None:
    pass
