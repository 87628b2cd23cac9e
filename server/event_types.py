"""Which types of events a tenant has: everybody's, and those of its own file `<tenant>.yaml`.

A file that does not pass keeps the types before it, and says why in the log.
"""

from collections.abc import Mapping
from pathlib import Path

import structlog

from model.event_document import EventsDocument, types_of
from model.events import CORE, EventType
from rules.diagnostics import PolicyInvalidError
from rules.validation import validated
from rules.yaml_text import read_yaml
from server.documents import DocumentRefusedError, documents_of_tenants, read_document

Types = Mapping[str, EventType]
log = structlog.get_logger()


def read_event_types(source: str) -> Types:
    """Return everybody's types and those of a document's text; raises PolicyInvalidError with every fault, by line and column."""
    return types_of(validated(read_yaml(source), EventsDocument))


def types_of_file(path: Path) -> Types:
    """Return the same for a file; raises OSError, too."""
    return read_event_types(read_document(path))


class EventTypes:
    """Holds the types in use; `reload` swaps them."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._own: dict[str, Types] = {}

    def of(self, tenant: str) -> Types:
        """Return a tenant's types by name."""
        return self._own.get(tenant, CORE)

    def load(self) -> None:
        """Read every file at start; raises DocumentRefusedError or OSError for one that cannot be used."""
        for tenant, path in self._files().items():
            try:
                self._own[tenant] = types_of_file(path)
            except PolicyInvalidError as error:
                raise DocumentRefusedError(path, error) from error

    def reload(self) -> None:
        """Read every file again; one that cannot be used keeps the tenant's types before it, and says so in the log."""
        fresh: dict[str, Types] = {}
        try:
            files = self._files()
        except OSError as error:
            log.error("event_types_kept", tenant="*", error=str(error))  # noqa: TRY400 (the reason is the message)
            return
        for tenant, path in files.items():
            try:
                fresh[tenant] = types_of_file(path)
            except (PolicyInvalidError, OSError) as error:
                log.error("event_types_kept", tenant=tenant, file=str(path), error=str(error))  # noqa: TRY400
                fresh[tenant] = self.of(tenant)
            else:
                log.info("event_types_active", tenant=tenant, own=len(fresh[tenant]) - len(CORE))
        self._own = fresh

    def _files(self) -> dict[str, Path]:
        return {} if self._folder is None else documents_of_tenants(self._folder, "event types")
