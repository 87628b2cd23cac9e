"""What an operator sets, in one YAML file. Secrets stand elsewhere: `env:NAME` or `file:PATH`."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from standardwebhooks.webhooks import Webhook


class ConfigError(Exception):
    """The configuration is wrong; one line for each fault, with its path."""


def _secret(value: Any, info: ValidationInfo) -> str:
    kind, _, name = str(value).partition(":")
    if kind == "env":
        if name not in os.environ:
            raise ValueError(f"the variable {name} is not set")
        return os.environ[name]
    if kind == "file":
        try:
            return _beside(Path(name), info).read_text().strip()
        except OSError as error:
            raise ValueError(f"{name}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: is no text in UTF-8") from error
    raise ValueError("must be env:NAME or file:PATH, so that the file holds no secret")


def _signing(value: SecretStr) -> SecretStr:
    try:
        Webhook(value.get_secret_value())
    except Exception as error:  # the library raises whatever base64 does
        raise ValueError("must be whsec_ and base64") from error
    return value


def _beside(path: Path, info: ValidationInfo) -> Path:
    """Return a path as seen from the configuration's folder."""
    return Path(info.context or ".") / path


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+(/\S*)?$"), AfterValidator(lambda url: url.rstrip("/"))]
Near = Annotated[Path, AfterValidator(_beside)]
AddressName = Literal["email", "sms", "phone", "push", "in_app", "crm_workflow", "agent_assignment"]


class Model(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChannelSettings(Model):
    """What every channel has: `address` names the lead's address that it uses, by default the one of its own name."""

    address: AddressName | None = None


class SmtpSettings(ChannelSettings):
    """A mail server."""

    kind: Literal["smtp"]
    host: str
    port: int = Field(587, ge=1, le=65_535)
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str | None = None
    password: Secret | None = None
    sender: str = Field(pattern=r"^[^\r\n]*[^\s<>@]+@[^\s<>@]+>?$", description="such as Keepwell <care@example.com>")


class TwilioSettings(ChannelSettings):
    """Twilio, or a compatible provider. `api_key` logs in instead of the account."""

    kind: Literal["twilio"]
    base_url: Url = "https://api.twilio.com"
    account_sid: str
    auth_token: Secret
    api_key: str = ""
    sender: str = ""
    messaging_service_sid: str = ""
    takes_keys: bool = False

    @model_validator(mode="after")
    def _one_sender(self) -> "TwilioSettings":
        if bool(self.sender) == bool(self.messaging_service_sid):
            raise ValueError("exactly one of sender and messaging_service_sid has to be set")
        return self


class FcmSettings(ChannelSettings):
    """A Firebase project."""

    kind: Literal["fcm"]
    base_url: Url = "https://fcm.googleapis.com"
    project: str
    service_account_file: Near


class WebhookSettings(ChannelSettings):
    """An endpoint that takes signed webhooks."""

    kind: Literal["webhook"]
    url: Url
    secret: Annotated[Secret, AfterValidator(_signing)]
    type: str = "keepwell.intervention"
    needs_address: bool = True


class NoticeHookSettings(WebhookSettings):
    """An endpoint that is told of escalations."""

    type: str = "keepwell.escalation"
    needs_address: Literal[False] = False


class GoHighLevelSettings(ChannelSettings):
    """A sub-account."""

    base_url: Url = "https://services.leadconnectorhq.com"
    token: Secret
    api_version: str = "2021-07-28"
    address: AddressName | None = "crm_workflow"


class WorkflowSettings(GoHighLevelSettings):
    """Workflows by playbook."""

    kind: Literal["gohighlevel_workflow"]
    workflows: dict[str, str]


class TaskSettings(GoHighLevelSettings):
    """Tasks, for one user or for whoever has the contact."""

    kind: Literal["gohighlevel_task"]
    assigned_to: str = ""


class ChatSettings(ChannelSettings):
    """A chat, pager or mailbox of a team, by its apprise URL (which holds its credentials)."""

    kind: Literal["chat"]
    url: Secret


Notice = Annotated[NoticeHookSettings | ChatSettings, Field(discriminator="kind")]


class Channels(Model):
    """How each channel contacts. One that is not set is left to other workers."""

    email: SmtpSettings | None = None
    sms: TwilioSettings | None = None
    phone: WebhookSettings | None = None
    push: FcmSettings | None = None
    in_app: WebhookSettings | None = None
    crm_workflow: WorkflowSettings | None = None
    agent_assignment: Annotated[TaskSettings | ChatSettings, Field(discriminator="kind")] | None = None


class CsvAddresses(Model):
    """A file with a column lead_id and one for each kind of address."""

    kind: Literal["csv"]
    path: Near


class HttpAddresses(Model):
    """A look-up of yours: `{lead_id}` and `{address}` in the URL are filled in; it answers {"address": "…"}, or 404."""

    kind: Literal["http"]
    url: Url
    token: Secret | None = None


class ProfileAddresses(Model):
    """The lead's profile in Keepwell (`contacts`)."""

    kind: Literal["profile"]


class Config(Model):
    """All of it."""

    journal: Near = Field(Path("delivery.sqlite3"), validate_default=True)
    templates: Near = Field(Path("templates"), validate_default=True)
    addresses: Annotated[CsvAddresses | HttpAddresses | ProfileAddresses, Field(discriminator="kind")]
    channels: Channels = Channels()
    escalations: dict[str, Notice] = Field({}, description="by target, such as manager")
    concurrency: int = Field(16, ge=1, le=500, description="deliveries at once")
    ack_deadline_seconds: float = Field(300, ge=1, le=3_600)
    timeout_seconds: float = Field(10, gt=0, le=300, description="one step of a request")
    send_timeout_seconds: float = Field(30, gt=0, le=600, description="all of a request")
    max_attempts: int = Field(20, ge=1, le=90, description="sends of one contact")
    retry_seconds: float = Field(5, ge=0, le=3_600, description="before the second attempt; doubled after each")
    keep_days: int = Field(120, ge=8, description="how long the journal remembers what is done")


def load(path: Path) -> Config:
    """Return the configuration of a file.

    Raises:
        ConfigError: It cannot be read, or says something that is not allowed.

    """
    try:
        document = yaml.safe_load(path.read_text())
        return Config.model_validate(document, context=path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text in UTF-8") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ValidationError as error:
        lines = [f"{path}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        raise ConfigError("\n".join(lines)) from error
