"""The two scripts that touch leads: one reads a batch at one instant, the other commits it."""

from importlib.resources import files

GATHER = files(__name__).joinpath("gather.lua").read_text()
COMMIT = files(__name__).joinpath("commit.lua").read_text()
