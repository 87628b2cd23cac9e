"""Where a lead's addresses come from: the feed has none."""

import asyncio
import csv
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from keepwell.v1.lead_service_pb2 import GetLeadRequest
from keepwell_client import AsyncClient, KeepwellError
from keepwell_client.errors import LeadNotFoundError

from keepwell_delivery.config import Config, ConfigError, CsvAddresses, HttpAddresses
from keepwell_delivery.http import check, client, json_of, send
from keepwell_delivery.receipt import TryLaterError, UncertainError

NOT_FOUND = 404


class Addresses(Protocol):
    """Knows how to reach leads."""

    async def find(self, lead_id: str, name: str) -> str:
        """Return a lead's address, such as its `email`; "" when it has none.

        Raises:
            TryLaterError: Nobody could be asked.

        """

    async def close(self) -> None:
        """Let go of connections."""


class FileAddresses:
    """A CSV file with a column lead_id and one for each kind of address; read again when it changes.

    Raises:
        ConfigError: It cannot be read, or has no lead_id.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = -1
        self._rows: dict[str, dict[str, str]] = {}
        try:
            self._refresh()
        except (OSError, ValueError, csv.Error) as error:
            raise ConfigError(f"{path}: {error}") from error

    async def find(self, lead_id: str, name: str) -> str:
        """Return a lead's address."""
        try:
            await asyncio.to_thread(self._refresh)
        except (OSError, ValueError, csv.Error) as error:
            raise TryLaterError(f"addresses: {type(error).__name__}") from error
        return self._rows.get(lead_id, {}).get(name) or ""

    async def close(self) -> None:
        """Nothing is kept open."""

    def _refresh(self) -> None:
        changed_at = self._path.stat().st_mtime_ns
        if changed_at == self._read_at:
            return
        with self._path.open(newline="", encoding="utf-8-sig") as file:  # Excel begins with a byte order mark
            rows = csv.DictReader(file)
            if "lead_id" not in (rows.fieldnames or ()):
                raise ValueError("must have a column lead_id")
            self._rows = {row["lead_id"]: row for row in rows}
        self._read_at = changed_at


class LookedUpAddresses:
    """A service of the operator's."""

    def __init__(self, settings: HttpAddresses, timeout_seconds: float) -> None:
        self._url = settings.url
        token = settings.token.get_secret_value() if settings.token else ""
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = client(timeout_seconds)

    async def find(self, lead_id: str, name: str) -> str:
        """Return a lead's address."""
        url = self._url.replace("{lead_id}", quote(lead_id, safe="")).replace("{address}", name)
        try:
            answer = await send(self._http, "addresses", "GET", url, headers=self._headers)
            if answer.status_code == NOT_FOUND:
                return ""
            check(answer, "addresses")
        except UncertainError as error:
            raise TryLaterError(error.detail) from error  # asking again does no harm
        return str(json_of(answer).get("address") or "")

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()


class ProfileAddressBook:
    """The leads' profiles in Keepwell."""

    def __init__(self, keepwell: AsyncClient) -> None:
        self._keepwell = keepwell

    async def find(self, lead_id: str, name: str) -> str:
        """Return a lead's address."""
        try:
            view = await self._keepwell.call(self._keepwell.leads.GetLead, GetLeadRequest(lead_id=lead_id))
        except LeadNotFoundError:
            return ""
        except KeepwellError as error:
            raise TryLaterError(f"addresses: {error.code}") from error
        return view.profile.contacts.get(name, "")

    async def close(self) -> None:
        """Leave the client to its owner."""


def open_addresses(config: Config, keepwell: AsyncClient) -> Addresses:
    """Return what the configuration says; raises ConfigError when it is not there."""
    settings = config.addresses
    if isinstance(settings, CsvAddresses):
        return FileAddresses(settings.path)
    if isinstance(settings, HttpAddresses):
        return LookedUpAddresses(settings, config.timeout_seconds)
    return ProfileAddressBook(keepwell)
