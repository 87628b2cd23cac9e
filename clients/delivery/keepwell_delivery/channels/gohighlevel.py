"""GoHighLevel, v2: a contact is added to a workflow, or an agent gets a task about it. Its address is the contact's id there."""

from typing import Any
from urllib.parse import quote

import httpx
from aiolimiter import AsyncLimiter

from keepwell_delivery.config import GoHighLevelSettings, TaskSettings, WorkflowSettings
from keepwell_delivery.contact import Contact
from keepwell_delivery.http import as_object, check, client, json_of, send
from keepwell_delivery.receipt import RefusedError

PROVIDER = "gohighlevel"
# 100 requests in 10 s for an app and a sub-account. One at a time, spaced: a bucket of 100 would let 200 pass in its first 10 s.
SPACING_SECONDS = 0.102


class _Api:
    def __init__(self, settings: GoHighLevelSettings, timeout_seconds: float) -> None:
        self._http = client(timeout_seconds)
        self._limiter = AsyncLimiter(1, SPACING_SECONDS)
        self._base_url = settings.base_url
        self._headers = {
            "Authorization": f"Bearer {settings.token.get_secret_value()}",
            "Version": settings.api_version,
        }

    async def post(self, contact: Contact, path: str, body: dict[str, Any]) -> httpx.Response:
        """Return the answer, when it is not an error."""
        url = f"{self._base_url}/contacts/{quote(contact.address, safe='')}/{path}"
        async with self._limiter:
            answer = await send(self._http, PROVIDER, "POST", url, headers=self._headers, json=body)
        check(answer, PROVIDER)
        return answer

    async def close(self) -> None:
        await self._http.aclose()


class WorkflowChannel:
    """Adds contacts to workflows, one for each playbook. The API documents no idempotency key."""

    takes_keys = False
    has_wording = False
    needs_address = True

    def __init__(self, settings: WorkflowSettings, timeout_seconds: float) -> None:
        self._api = _Api(settings, timeout_seconds)
        self._workflows = settings.workflows

    async def send(self, contact: Contact) -> str:
        """Add the contact; return the workflow's id."""
        workflow = self._workflows.get(contact.playbook)
        if workflow is None:
            raise RefusedError(f"{PROVIDER}: no workflow for playbook {contact.playbook}")
        await self._api.post(contact, f"workflow/{quote(workflow, safe='')}", {})
        return workflow

    async def close(self) -> None:
        """Close connections."""
        await self._api.close()


class TaskChannel:
    """Gives agents tasks, due when the intervention expires. The API documents no idempotency key."""

    takes_keys = False
    has_wording = True
    needs_address = True

    def __init__(self, settings: TaskSettings, timeout_seconds: float) -> None:
        self._api = _Api(settings, timeout_seconds)
        self._assigned_to = {"assignedTo": settings.assigned_to} if settings.assigned_to else {}

    async def send(self, contact: Contact) -> str:
        """Make the task; return its id."""
        task = {
            "title": contact.wording.subject,
            "body": contact.wording.text,
            "dueDate": contact.facts["expire_time"].isoformat(),
            "completed": False,
            **self._assigned_to,
        }
        answer = json_of(await self._api.post(contact, "tasks", task))
        return str(as_object(answer.get("task", answer)).get("id", ""))

    async def close(self) -> None:
        """Close connections."""
        await self._api.close()
