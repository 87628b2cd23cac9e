"""The scripts of the road, of its reviews, of the subscriptions, of the retention and of the models; each says at its top what it does."""

from importlib.resources import files

GATHER = files(__name__).joinpath("gather.lua").read_text()
COMMIT = files(__name__).joinpath("commit.lua").read_text()
TAKE_DUE = files(__name__).joinpath("take_due.lua").read_text()
OPEN_SUBSCRIPTION = files(__name__).joinpath("open_subscription.lua").read_text()
SEEK_SUBSCRIPTION = files(__name__).joinpath("seek_subscription.lua").read_text()
DELETE_SUBSCRIPTION = files(__name__).joinpath("delete_subscription.lua").read_text()
TAKE_DELIVERIES = files(__name__).joinpath("take_deliveries.lua").read_text()
SETTLE_DELIVERIES = files(__name__).joinpath("settle_deliveries.lua").read_text()
FORGET_DECISIONS = files(__name__).joinpath("forget_decisions.lua").read_text()
TRIM_LOG = files(__name__).joinpath("trim_log.lua").read_text()
REGISTER_MODEL = files(__name__).joinpath("register_model.lua").read_text()
ACTIVATE_MODEL = files(__name__).joinpath("activate_model.lua").read_text()
