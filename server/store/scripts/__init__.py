"""The scripts: one reads a batch of leads at one instant, one commits it, one takes the leads that are due for review."""

from importlib.resources import files

GATHER = files(__name__).joinpath("gather.lua").read_text()
COMMIT = files(__name__).joinpath("commit.lua").read_text()
TAKE_DUE = files(__name__).joinpath("take_due.lua").read_text()
