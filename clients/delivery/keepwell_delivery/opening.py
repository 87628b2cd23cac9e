"""Makes the configured channels."""

from keepwell_delivery.channels.chat import ChatChannel
from keepwell_delivery.channels.fcm import FcmChannel
from keepwell_delivery.channels.gohighlevel import TaskChannel, WorkflowChannel
from keepwell_delivery.channels.smtp import SmtpChannel
from keepwell_delivery.channels.twilio import TwilioChannel
from keepwell_delivery.channels.webhook import WebhookChannel
from keepwell_delivery.config import (
    ChannelSettings,
    ChatSettings,
    Config,
    ConfigError,
    FcmSettings,
    SmtpSettings,
    TaskSettings,
    TwilioSettings,
    WebhookSettings,
    WorkflowSettings,
)
from keepwell_delivery.contact import Channel


def open_channel(settings: ChannelSettings, config: Config) -> Channel:
    """Return the channel that the settings describe.

    Raises:
        ConfigError: They name a file or a service that is not there.

    """
    seconds = config.timeout_seconds
    match settings:
        case SmtpSettings():
            return SmtpChannel(settings, seconds)
        case TwilioSettings():
            return TwilioChannel(settings, seconds)
        case FcmSettings():
            return _fcm(settings, seconds)
        case WebhookSettings():
            return WebhookChannel(settings, seconds)
        case WorkflowSettings():
            return WorkflowChannel(settings, seconds)
        case TaskSettings():
            return TaskChannel(settings, seconds)
        case ChatSettings():
            return ChatChannel(settings, config.send_timeout_seconds)
    raise ConfigError(f"no channel is made by {type(settings).__name__}")


def _fcm(settings: FcmSettings, seconds: float) -> FcmChannel:
    try:
        return FcmChannel(settings, seconds)
    except (OSError, ValueError) as error:
        raise ConfigError(f"channels.push.service_account_file: {error}") from error


def configured(config: Config) -> dict[str, ChannelSettings]:
    """Return the settings of the channels that are set, by channel name."""
    settings = {name: getattr(config.channels, name) for name in type(config.channels).model_fields}
    return {name: each for name, each in settings.items() if each is not None}
