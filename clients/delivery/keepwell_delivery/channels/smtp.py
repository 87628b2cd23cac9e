"""E-mail over SMTP."""

from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

import aiosmtplib

from keepwell_delivery.config import SmtpSettings
from keepwell_delivery.contact import Contact
from keepwell_delivery.http import UNAUTHORISED_SECONDS
from keepwell_delivery.receipt import DeliveryError, RefusedError, TryLaterError, UncertainError

FIRST_PERMANENT = 500


class SmtpChannel:
    """Mails. SMTP knows no idempotency key: the Message-ID is the same for every attempt, but few servers look at it."""

    takes_keys = False
    has_wording = True
    needs_address = True

    def __init__(self, settings: SmtpSettings, timeout_seconds: float) -> None:
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._sender = parseaddr(settings.sender)[1]

    async def send(self, contact: Contact) -> str:
        """Mail; return the Message-ID."""
        try:
            message = self._message(contact)
            sender, address = self._sender, contact.address.encode("ascii").decode()
        except ValueError as error:
            raise RefusedError("smtp: not an address that can be mailed") from error
        smtp = self._connection()
        try:
            await self._hand_over(smtp, sender, address, message.as_bytes())
        finally:
            smtp.close()  # QUIT could only fail, after the server has taken the mail
        return str(message["Message-ID"])

    async def close(self) -> None:
        """Nothing is kept open."""

    def _connection(self) -> aiosmtplib.SMTP:
        settings = self._settings
        return aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            use_tls=settings.tls == "implicit",
            start_tls=settings.tls == "starttls",
            timeout=self._timeout_seconds,
        )

    async def _hand_over(self, smtp: aiosmtplib.SMTP, sender: str, address: str, message: bytes) -> None:
        try:
            await smtp.connect()
            await smtp.mail(sender)
            await smtp.rcpt(address)
        except (aiosmtplib.SMTPException, OSError) as error:  # a certificate that is not trusted is an OSError
            raise _before_data(error) from error
        try:
            await smtp.data(message)
        except aiosmtplib.SMTPResponseException as error:
            raise _answered(error) from error
        except aiosmtplib.SMTPException as error:
            raise UncertainError(f"smtp: {type(error).__name__} after the mail went out") from error

    def _message(self, contact: Contact) -> EmailMessage:
        message = EmailMessage(policy.SMTP)
        message["From"] = self._settings.sender
        message["To"] = contact.address
        message["Subject"] = " ".join(contact.wording.subject.split())
        message["Date"] = format_datetime(contact.facts["decided_at"])
        message["Message-ID"] = f"<{contact.key}@{self._sender.rpartition('@')[2]}>"
        message.set_content(contact.wording.text)
        if contact.wording.html:
            message.add_alternative(contact.wording.html, subtype="html")
        return message


def _before_data(error: aiosmtplib.SMTPException | OSError) -> DeliveryError:
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return TryLaterError(f"smtp: {error.code} at login", UNAUTHORISED_SECONDS)  # an operator can mend it
    if isinstance(error, aiosmtplib.SMTPRecipientRefused | aiosmtplib.SMTPSenderRefused):
        return _answered(error)
    return TryLaterError(f"smtp: {type(error).__name__}")


def _answered(error: aiosmtplib.SMTPResponseException) -> DeliveryError:
    """Return what a reply means (RFC 5321, 4.2.1); its text may quote the address, so only the enhanced code (RFC 3463) is taken from it."""
    word = error.message.split(maxsplit=1)[:1]
    enhanced = f" {word[0]}" if word and word[0].replace(".", "").isdigit() else ""
    detail = f"smtp: {error.code}{enhanced}"
    return RefusedError(detail) if error.code >= FIRST_PERMANENT else TryLaterError(detail)
